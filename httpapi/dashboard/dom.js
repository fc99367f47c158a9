
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

// segments is a choice among a few: options are their labels by value. choose gets the value.
export function segments(name, legend, options, choose, chosen) {
  const labels = Object.entries(options).map(([value, label]) => h("label", {}, h("input", { type: "radio", name, value, checked: value === chosen }), label));
  return h("fieldset", { class: "segments", onchange: ({ target }) => choose(target.value) }, h("legend", { class: "unseen" }, legend), labels);
}

// Characters that are not seen or that turn the text around them.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;
const mostMarked = 10_000; // of one text

// text is a string from elsewhere, to be shown exactly. Characters that would mislead a reader
// stand alone in an element that names them, and affect nothing beyond it.
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
