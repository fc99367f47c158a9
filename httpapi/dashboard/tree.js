// JSON as a tree. A part is made when it is opened, so a large output costs nothing before
// somebody looks at it.
import { h, text as shown } from "./dom.js";
import { isContainer, parts, skipSpace, typeOf } from "./json.js";
import { count } from "./format.js";

const atOnce = 100; // parts that are shown before "more"
const longString = 800; // characters
const openBelow = 12; // a part with fewer parts is open from the start, down to openDepth
const openDepth = 2;

// tree returns an element that shows a JSON text.
export function tree(text) {
  const start = skipSpace(text, 0);
  return h("div", { class: "tree" }, node(text, { key: null, start, end: text.trimEnd().length }, 0, ""));
}

function node(text, part, depth, label) {
  const name = label === "" ? [] : [h("span", { class: part.key === null ? "tree-index" : "tree-key" }, shown(label)), ": "];
  if (!isContainer(text, part.start)) return h("div", { class: "tree-leaf" }, name, scalar(text, part));
  return container(text, part, depth, name);
}

function container(text, part, depth, name) {
  const type = typeOf(text, part.start);
  const size = sizeOf(text, part.start);
  const what = type === "object" ? `{ ${count(size)} }` : `[ ${count(size)} ]`;
  if (size === 0) return h("div", { class: "tree-leaf" }, name, h("span", { class: "soft" }, type === "object" ? "{ }" : "[ ]"));
  const body = h("div", { class: "tree-parts" });
  const details = h("details", {}, h("summary", {}, name, h("span", { class: "soft" }, what)), body);
  const fill = () => {
    if (details.open && body.childElementCount === 0) more(text, body, parts(text, part.start), depth, 0, size);
  };
  details.addEventListener("toggle", fill);
  if (depth === 0 || (depth < openDepth && size < openBelow)) {
    details.open = true;
    fill();
  }
  return details;
}

function sizeOf(text, start) {
  let size = 0;
  for (const _ of parts(text, start)) size++;
  return size;
}

// more adds the next parts, and a button if there are still others.
function more(text, body, rest, depth, from, size) {
  const end = Math.min(size, from + atOnce);
  for (let at = from; at < end; at++) {
    const part = rest.next().value;
    body.append(node(text, part, depth + 1, part.key ?? String(at)));
  }
  if (end === size) return;
  const button = h("button", { type: "button", class: "quiet more" }, `Show more (${count(size - end)} left)`);
  button.addEventListener("click", () => {
    const next = button.previousElementSibling;
    button.remove();
    more(text, body, rest, depth, end, size);
    next.nextElementSibling.querySelector("summary, button")?.focus();
  });
  body.append(button);
}

function scalar(text, { start, end }) {
  const type = typeOf(text, start);
  const value = h("span", { class: `tree-${type}` });
  if (end - start <= longString) {
    value.append(shown(text.slice(start, end)));
    return value;
  }
  value.append(shown(text.slice(start, start + longString)), "… ");
  const all = h("button", { type: "button", class: "quiet more" }, `Show all ${count(end - start)} characters`);
  all.addEventListener("click", () => value.replaceChildren(shown(text.slice(start, end))));
  value.append(all);
  return value;
}
