
const SVG = "http://www.w3.org/2000/svg";

// h makes an HTML element: h("a", { href, class, onclick }, "text", child, …). A property
// that is null, undefined or false is left out.
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function s(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const icons = new Map(); // by name; a copy of an element is cheaper than a new one

export function icon(name) {
  if (!icons.has(name)) icons.set(name, s("svg", { class: "icon", "aria-hidden": "true" }, s("use", { href: `#i-${name}` })));
  return icons.get(name).cloneNode(true);
}

export function panel(id, heading, beside, ...content) {
  return h("section", { class: "panel", "aria-labelledby": id }, h("div", { class: "panel-head" }, h("h2", { id }, heading), beside), content);
}

export const facts = (all) => h("dl", { class: "facts" }, all.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

export function openDialog(id, kind, heading, ...content) {
  const dialog = h("dialog", { class: kind, "aria-labelledby": id, onclose: () => dialog.remove() }, h("h2", { id }, heading), content);
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export const soft = (...words) => h("p", { class: "soft" }, words);

// heads are [label, class of the column].
const table = (heads, body) => h("table", { class: "list" }, h("thead", {}, h("tr", {}, heads.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)))), body);

// wide is a table that may be wider than the window, named by an element.
export const wide = (id, heads, body) => h("div", { class: "x-scroll", tabindex: "0", role: "group", "aria-labelledby": id }, table(heads, body));

// segments is a choice: options are labels by value. choose gets the value.
export function segments(name, legend, options, choose, chosen) {
  const labels = Object.entries(options).map(([value, label]) => h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen }), label));
  return h("fieldset", { class: "segments", onchange: ({ target }) => choose(target.value) }, h("legend", { class: "unseen" }, legend), labels);
}

// Characters that are not seen or that turn the text around them.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const mostMarked = 10_000; // of one text

// text shows a string from elsewhere exactly. Each character that would mislead a reader
// is in its own element, which names it, so it affects nothing else.
export function text(string) {
  if (string.search(unseen) < 0) return document.createTextNode(string);
  const all = document.createDocumentFragment();
  let from = 0;
  let marked = 0;
  for (const { 0: char, index } of string.matchAll(unseen)) {
    if (++marked > mostMarked) break;
    const code = `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    all.append(string.slice(from, index), h("bdi", { class: "unseen-char", "data-code": code, title: code }, char));
    from = index + char.length;
  }
  all.append(string.slice(from));
  return all;
}

export function set(element, string) {
  if (element.textContent !== string) element.replaceChildren(text(string));
}

// keyed fills a container from a list. An item keeps its element while it is listed, so that
// focus and pointer stay where they are.
export function keyed(container, items, keyOf, make, update) {
  const known = container.keyedElements ?? new Map();
  const wanted = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const element = known.get(key) ?? make(item);
    update(element, item);
    wanted.set(key, element);
  }
  for (const [key, element] of known) if (!wanted.has(key)) element.remove();
  let at = 0;
  for (const element of wanted.values()) {
    if (container.children[at] !== element) container.insertBefore(element, container.children[at] ?? null);
    at++;
  }
  container.keyedElements = wanted;
}

// formatter makes a formatter when it is first used: making one takes milliseconds, and most
// are not needed for the first view.
function formatter(kind, options) {
  let made = null;
  return (value) => (made ??= new Intl[kind](undefined, options)).format(value);
}

const number = formatter("NumberFormat", {});
const compact = formatter("NumberFormat", { notation: "compact", maximumFractionDigits: 1 });
const day = formatter("DateTimeFormat", { month: "short", day: "numeric" });
const full = formatter("DateTimeFormat", { dateStyle: "medium", timeStyle: "long" });
const two = (n) => String(n).padStart(2, "0");

export const count = (n) => (n < 1000 ? String(n) : n < 100_000 ? number(n) : compact(n));
export const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : share < 1 && share > 0.99 ? "> 99 %" : `${Math.round(share * 100)} %`);
export const hourMinute = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

// when is the clock time, with the day unless that is today.
export function when(date) {
  const today = new Date();
  const clock = `${hourMinute(date)}:${two(date.getSeconds())}`;
  return date.toDateString() === today.toDateString() ? clock : `${day(date)}, ${clock}`;
}

export const utc = (date) => date.toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC");

// time is an element that shows a time. Its tooltip is written when the pointer is on it.
export function time(text, label = when) {
  const date = new Date(text);
  if (!text || Number.isNaN(date.getTime())) return h("span", { class: "soft" }, "–");
  return h("time", { datetime: text }, label(date));
}

document.addEventListener("pointerover", ({ target }) => {
  if (target.tagName !== "TIME") return;
  const date = new Date(target.dateTime);
  target.title = `${ago(date)}\n${full(date)}\n${utc(date)}`;
});

export function ago(date, now = Date.now()) {
  const seconds = (now - date) / 1000;
  return seconds < 1 ? "now" : `${duration(seconds, 1)} ago`;
}

const units = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
];

// duration shows seconds in at most so many units: "2 h 5 min".
export function duration(seconds, parts = 2) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0.0005) return "0 s";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 9.95) return `${Math.round(seconds * 10) / 10} s`;
  let rest = Math.round(seconds);
  const all = [];
  for (const [unit, size] of units) {
    if (all.length === 0 && rest < size) continue;
    if (all.length < parts && rest >= size) all.push(`${Math.floor(rest / size)} ${unit}`);
    rest %= size;
  }
  if (all.length < parts && (rest > 0 || all.length === 0)) all.push(`${rest} s`);
  return all.join(" ");
}

export function bytes(n) {
  if (n < 1000) return `${n} B`;
  return n < 1e6 ? `${Math.round(n / 100) / 10} kB` : `${Math.round(n / 1e5) / 10} MB`;
}

export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

const words = {
  RUNNING: "Running",
  PENDING_REDRIVE: "Redriving",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  TIMED_OUT: "Timed out",
  ABORTED: "Aborted",
};

export const wordOf = (status) => words[status] ?? status;

// badge shows a status as symbol and word: never by colour alone.
export function badge(status, more = "") {
  const known = status in words ? status : "RUNNING";
  const kind = known === "PENDING_REDRIVE" ? "running" : known.toLowerCase();
  return h("span", { class: `badge s-${kind}` }, icon(kind), wordOf(status), more && h("small", {}, more));
}
