import { h, icon } from "./dom.js";

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
export const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(share * 100)} %`);
export const hourMinute = (date) => `${two(date.getHours())}:${two(date.getMinutes())}`;

// when is a time of today as its clock, an earlier one with its day.
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

// duration is a number of seconds, in at most so many units: "2 h 5 min".
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
