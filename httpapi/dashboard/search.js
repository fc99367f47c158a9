import { h, icon } from "./dom.js";
import { findARN, go, machineNameOf, toExecution, toSearch } from "./router.js";

const input = h("input", {
  id: "find",
  type: "search",
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

export function mount(into) {
  into.append(icon("search"), input, list, h("kbd", { "aria-hidden": "true" }, "/"));
  input.addEventListener("input", () => {
    suggest();
    if (input.value === "") clear();
  });
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

export function show(text) {
  if (document.activeElement === input && input.value.trim() === text) return;
  input.value = text && document.activeElement === input ? `${text} ` : text;
}

const clear = () => location.hash.startsWith("#/executions?") && go(toSearch(""));

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
      clear();
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

// What the page has seen, for the completion of the search box. It is bounded.
const most = 200; // of each kind

export const machines = new Map(); // ARN by name
export const labels = new Map(); // set of values by name
const errors = new Set();

export function knowMachine(arn) {
  if (arn && machines.size < most) machines.set(machineNameOf(arn), arn);
}

export function knowError(name) {
  if (name && errors.size < most) errors.add(name);
}

export function knowLabels(all) {
  for (const [name, value] of Object.entries(all ?? {})) {
    if (!labels.has(name) && labels.size < most) labels.set(name, new Set());
    const values = labels.get(name);
    if (values && values.size < most) values.add(value);
  }
}

// statuses by the word that people type: of the API and, where that says less, of Step Functions.
export const statuses = {
  running: { status: "RUNNING" },
  succeeded: { status: "SUCCEEDED" },
  failed: { status: "FAILED" },
  timed_out: { status: "FAILED", exactly: "TIMED_OUT" },
  aborted: { status: "FAILED", exactly: "ABORTED" },
};

// qualifiers by name, each with what its help says.
const qualifiers = {
  status: "running, succeeded, failed, timed_out or aborted; several combine",
  label: "name=value",
  error: "name of the error, exactly",
  name: "beginning of the name",
  machine: "state machine, by name or ARN",
  started: "<1h in the last hour, >1h longer ago, >2026-02-10 since that day",
  overdue: "true: runs longer than usual",
  owner: "for operators: executions of one owner",
};

const term = /([A-Za-z][\w-]*):(?:"((?:[^"\\]|\\.)*)"|(\S*))|"((?:[^"\\]|\\.)*)"|(\S+)/g;
const unescaped = (s) => s.replace(/\\(.)/g, "$1");
const quoted = (s) => (/[\s"\\]/.test(s) || s === "" ? `"${s.replace(/["\\]/g, "\\$&")}"` : s);

export const write = (name, value) => `${name}:${quoted(value)}`;

// read reads a search. parameters are those of the API, which takes one label: rows are
// compared with all of them, and with the name of a machine whose ARN is not known.
export function read(text) {
  const query = { parameters: {}, statuses: new Set(), labels: [], problems: [], words: [] };
  for (const [whole, name, inQuotes, plain, quotedWord, word] of text.matchAll(term)) {
    if (name !== undefined) readQualifier(query, whole, name, inQuotes === undefined ? plain : unescaped(inQuotes));
    else if (quotedWord !== undefined) query.words.push(unescaped(quotedWord));
    else if (label.test(word)) readers.label(query, word);
    else query.words.push(word);
  }
  const public_ = new Set([...query.statuses].map((word) => statuses[word].status));
  if (public_.size === 1) query.parameters.status = [...public_][0];
  if (query.labels.length > 0) query.parameters.label = query.labels[0].join(":");
  if (query.words.length > 0) query.parameters.q = query.words.join(" ");
  return query;
}

const label = /^[A-Za-z][\w-]*=./; // without its qualifier

function readQualifier(query, whole, given, value) {
  const name = given.toLowerCase();
  if (Object.hasOwn(readers, name)) {
    if (value !== "") readers[name](query, value);
  } else if (/^(arn|https?)$/.test(name)) query.words.push(whole);
  else if (labels.has(given)) readers.label(query, `${given}=${value}`);
  else query.problems.push(`“${given}:” is not a qualifier: use ${Object.keys(readers).join(", ")}. For a label write label:${given}=${value || "value"}; for text put it in quotes.`);
}

const readers = {
  status(query, value) {
    for (const each of value.toLowerCase().split(",")) {
      if (Object.hasOwn(statuses, each)) query.statuses.add(each);
      else query.problems.push(`status:${each} is none of ${Object.keys(statuses).join(", ")}`);
    }
  },
  label(query, value) {
    const [name, of] = cut(value, /[=:]/);
    if (of === undefined) query.problems.push(`label:${value} has no value: write label:name=value`);
    else query.labels.push([name, of]);
  },
  error: (query, value) => (query.parameters.error = value),
  name: (query, value) => (query.parameters.name = value),
  owner: (query, value) => (query.parameters.owner = value),
  overdue(query, value) {
    if (value === "true") query.parameters.overdue = value;
    else query.problems.push(`overdue:${value} must be overdue:true`);
  },
  machine(query, value) {
    const arn = value.startsWith("arn:") ? value : machines.get(value);
    if (arn) query.parameters.stateMachineArn = arn;
    else query.machine = value; // the rows of all state machines are looked at
  },
  started(query, value) {
    const [, sign, rest] = /^([<>]?)=?(.*)$/.exec(value);
    const age = /^(\d+)(s|m|min|h|d|w)$/.exec(rest);
    const date = new Date(/^\d{4}-\d\d-\d\d$/.test(rest) ? `${rest}T00:00` : rest);
    if (age) query.parameters[sign === ">" ? "startedBefore" : "startedAfter"] = inHours(age);
    else if (!Number.isNaN(date.getTime())) query.parameters[sign === "<" ? "startedBefore" : "startedAfter"] = date.toISOString();
    else query.problems.push(`started:${value} is neither an age such as <1h nor a date such as >2026-02-10`);
  },
};

function inHours([, n, unit]) {
  if (unit === "d") return `${n * 24}h`;
  if (unit === "w") return `${n * 168}h`;
  return unit === "min" ? `${n}m` : n + unit;
}

function cut(s, at) {
  const found = s.search(at);
  return found < 0 ? [s] : [s.slice(0, found), s.slice(found + 1)];
}

// keeps returns whether a row matches the parts of a search that the API cannot filter by.
export function keeps(query, row) {
  if (query.machine && !row.machine.endsWith(`:${query.machine}`)) return false;
  if (query.labels.some(([name, value]) => row.labels?.[name] !== value)) return false;
  if (query.statuses.size === 0) return true;
  for (const word of query.statuses) {
    const { status, exactly } = statuses[word];
    if (row.status === status && (!exactly || row.exactly === exactly)) return true;
  }
  return false;
}

export function toggleStatus(text, word) {
  const chosen = read(text).statuses;
  if (!chosen.delete(word)) chosen.add(word);
  const rest = text.replace(/(^|\s)status:(?:"[^"]*"|\S*)/g, "").trim();
  return [...[...chosen].map((each) => write("status", each)), rest].filter(Boolean).join(" ");
}

// suggestions for the term before the caret: qualifiers, and values of which it is the beginning.
function suggestions(text, caret) {
  const from = startOfTerm(text, caret);
  const [name, value] = cut(text.slice(from, caret), /:/);
  const begins = (value ?? name).replace(/^"/, "").toLowerCase();
  const of = (kind) => (values[kind]?.() ?? []).map(({ value: label, help = kind, open }) => ({ label, help, insert: open ? `${kind}:${label}` : `${write(kind, label)} ` }));
  const all = value === undefined ? [...Object.entries(qualifiers).map(([each, help]) => ({ label: `${each}:`, help, insert: `${each}:` })), ...(begins && ["machine", "error", "label"].flatMap(of))] : of(name);
  const items = all.filter(({ label }) => `=${label}`.toLowerCase().includes(`=${begins}`) && label.toLowerCase() !== value?.toLowerCase());
  return { from, items: items.slice(0, 12) };
}

// startOfTerm finds where the term of the caret begins; a space in quotes does not end it.
function startOfTerm(text, caret) {
  let from = 0;
  let inQuotes = false;
  for (let at = 0; at < caret; at++) {
    if (text[at] === '"' && text[at - 1] !== "\\") inQuotes = !inQuotes;
    if (text[at] === " " && !inQuotes) from = at + 1;
  }
  return from;
}

const plain = (values) => [...values].map((value) => ({ value }));

const values = {
  __proto__: null,
  status: () => plain(Object.keys(statuses)),
  error: () => plain(errors),
  machine: () => plain(machines.keys()),
  overdue: () => plain(["true"]),
  started: () => [
    { value: "<15m", help: "in the last 15 minutes" },
    { value: "<1h", help: "in the last hour" },
    { value: "<24h", help: "in the last day" },
    { value: ">1h", help: "more than an hour ago" },
  ],
  label: () => [...labels].flatMap(([label, values]) => [{ value: `${label}=`, open: true }, ...plain([...values].map((each) => `${label}=${each}`))]),
};
