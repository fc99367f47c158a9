// The one search box: an ARN or a URL of the AWS console leads to its execution, anything
// else to the list.
import { h, icon } from "./dom.js";
import { findARN } from "./arn.js";
import { suggestions } from "./query.js";
import { go, toExecution, toSearch } from "./router.js";

const input = h("input", {
  id: "find",
  type: "text",
  role: "combobox",
  "aria-expanded": "false",
  "aria-controls": "find-list",
  "aria-autocomplete": "list",
  "aria-label": "Search executions",
  autocomplete: "off",
  autocapitalize: "off",
  spellcheck: "false",
  placeholder: "ARN, console URL, name, label or status:failed …",
  title: "Search (/ or Ctrl-K)",
});
const list = h("ul", { id: "find-list", role: "listbox", "aria-label": "Suggestions", hidden: true });
let items = [];
let from = 0;
let chosen = -1;

// mount puts the box into the header.
export function mount(into) {
  into.append(icon("search"), input, list, h("kbd", { "aria-hidden": "true" }, "/"));
  input.addEventListener("input", () => suggest());
  input.addEventListener("keydown", onKey);
  input.addEventListener("blur", () => close());
  input.addEventListener("paste", (event) => {
    const arn = findARN(event.clipboardData.getData("text"));
    if (!arn || input.value.trim() !== "") return;
    event.preventDefault();
    input.value = arn;
    submit();
  });
}

export function focus() {
  input.focus();
  input.select();
}

// show writes the search of the view into the box.
export function show(text) {
  if (document.activeElement === input && input.value.trim() === text) return;
  input.value = text && document.activeElement === input ? `${text} ` : text;
}

function onKey(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) suggest(true);
    else choose(chosen + (event.key === "ArrowDown" ? 1 : -1));
  } else if ((event.key === "Tab" && !event.shiftKey && !list.hidden && items.length > 0) || (event.key === "Enter" && chosen >= 0)) {
    event.preventDefault();
    accept(items[Math.max(0, chosen)]);
  } else if (event.key === "Enter") {
    event.preventDefault();
    submit();
  } else if (event.key === "Escape") {
    event.preventDefault();
    if (!list.hidden) close();
    else if (input.value !== "") {
      input.value = "";
      if (location.hash.startsWith("#/executions?")) go(toSearch(""));
    } else {
      input.blur();
      document.getElementById("main").focus();
    }
  }
}

function submit() {
  close();
  const value = input.value.trim();
  const arn = findARN(value);
  go(arn ? toExecution(arn) : toSearch(value));
  dispatchEvent(new CustomEvent("searched"));
}

function suggest(always = false) {
  const caret = input.selectionStart ?? input.value.length;
  ({ from, items } = suggestions(input.value, caret));
  if (!always && input.value === "") items = [];
  chosen = -1;
  list.replaceChildren(
    ...items.map((item, at) =>
      h(
        "li",
        { id: `find-${at}`, role: "option", "aria-selected": "false", onmousedown: (event) => (event.preventDefault(), accept(item)) },
        h("span", {}, item.label),
        item.help && h("small", {}, item.help),
      ),
    ),
  );
  list.hidden = items.length === 0;
  input.setAttribute("aria-expanded", String(!list.hidden));
  input.removeAttribute("aria-activedescendant");
}

function choose(at) {
  chosen = (at + items.length + 1) % (items.length + 1);
  if (chosen === items.length) chosen = -1;
  [...list.children].forEach((option, i) => option.setAttribute("aria-selected", String(i === chosen)));
  if (chosen < 0) input.removeAttribute("aria-activedescendant");
  else {
    input.setAttribute("aria-activedescendant", `find-${chosen}`);
    list.children[chosen].scrollIntoView({ block: "nearest" });
  }
}

function accept(item) {
  const caret = input.selectionStart;
  const rest = input.value.slice(caret);
  input.value = input.value.slice(0, from) + item.insert + rest.replace(/^\S*\s?/, "");
  input.setSelectionRange(from + item.insert.length, from + item.insert.length);
  suggest();
}

function close() {
  list.hidden = true;
  chosen = -1;
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}
