// The language of the search box and what it means to the API.
import * as known from "./known.js";

// statuses by the word that people type: the status of the API and, where that says less,
// the one of Step Functions.
export const statuses = {
  running: { status: "RUNNING" },
  succeeded: { status: "SUCCEEDED" },
  failed: { status: "FAILED" },
  timed_out: { status: "FAILED", exactly: "TIMED_OUT" },
  aborted: { status: "FAILED", exactly: "ABORTED" },
};

// qualifiers by name, each with what its help says.
export const qualifiers = {
  status: "running, succeeded, failed, timed_out or aborted; several combine",
  label: "name=value",
  error: "name of the error, exactly",
  name: "beginning of the name",
  machine: "state machine, by name or ARN",
  started: "<1h in the last hour, >1h longer ago, >2026-02-10 since that day",
  overdue: "true: runs longer than is usual",
  owner: "for operators: executions of one owner",
};

const term = /([a-z]+):(?:"((?:[^"\\]|\\.)*)"|(\S*))|"((?:[^"\\]|\\.)*)"|(\S+)/g;
const unescaped = (s) => s.replace(/\\(.)/g, "$1");
const quoted = (s) => (/[\s"\\]/.test(s) || s === "" ? `"${s.replace(/["\\]/g, "\\$&")}"` : s);

// write is a qualifier as text.
export const write = (name, value) => `${name}:${quoted(value)}`;

// read reads a search: {parameters, statuses, problems}. parameters are those of the API,
// statuses the words that were named.
export function read(text) {
  const query = { parameters: { label: [] }, statuses: new Set(), problems: [], words: [] };
  for (const [whole, name, inQuotes, plain, quotedWord, word] of text.matchAll(term)) {
    if (name in qualifiers) {
      const value = inQuotes === undefined ? plain : unescaped(inQuotes);
      if (value !== "") readers[name](query, value);
    } else {
      query.words.push(quotedWord === undefined ? (word ?? whole) : unescaped(quotedWord));
    }
  }
  const public_ = new Set([...query.statuses].map((word) => statuses[word].status));
  if (public_.size === 1) query.parameters.status = [...public_][0];
  if (query.words.length > 0) query.parameters.q = query.words.join(" ");
  return query;
}

const readers = {
  status(query, value) {
    for (const each of value.toLowerCase().split(",")) {
      if (each in statuses) query.statuses.add(each);
      else query.problems.push(`status:${each} is none of ${Object.keys(statuses).join(", ")}`);
    }
  },
  label(query, value) {
    const [name, of] = cut(value, /[=:]/);
    if (of === undefined) query.problems.push(`label:${value} has no value: write label:name=value`);
    else query.parameters.label.push(`${name}:${of}`);
  },
  error: (query, value) => (query.parameters.error = value),
  name: (query, value) => (query.parameters.name = value),
  owner: (query, value) => (query.parameters.owner = value),
  overdue: (query, value) => (query.parameters.overdue = value === "true" ? "true" : undefined),
  machine(query, value) {
    const arn = value.startsWith("arn:") ? value : known.machines.get(value);
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

// inHours is an age in the units that the API takes.
function inHours([, n, unit]) {
  if (unit === "d") return `${n * 24}h`;
  if (unit === "w") return `${n * 168}h`;
  return unit === "min" ? `${n}m` : n + unit;
}

function cut(s, at) {
  const found = s.search(at);
  return found < 0 ? [s] : [s.slice(0, found), s.slice(found + 1)];
}

// keeps returns whether a row belongs to a search, as far as the API was not asked for it.
export function keeps(query, row) {
  if (query.machine && !row.machine.endsWith(`:${query.machine}`)) return false;
  if (query.statuses.size === 0) return true;
  for (const word of query.statuses) {
    const { status, exactly } = statuses[word];
    if (row.status === status && (!exactly || row.exactly === exactly)) return true;
  }
  return false;
}

// toggleStatus adds a status to a search, or takes it out.
export function toggleStatus(text, word) {
  const chosen = read(text).statuses;
  if (!chosen.delete(word)) chosen.add(word);
  const rest = text.replace(/(^|\s)status:(?:"[^"]*"|\S*)/g, "").trim();
  return [...[...chosen].map((each) => write("status", each)), rest].filter(Boolean).join(" ");
}

// suggestions for the term before the caret: {from, items: [{insert, label, help}]}.
export function suggestions(text, caret) {
  const from = startOfTerm(text, caret);
  const begun = text.slice(from, caret);
  const [name, value] = cut(begun, /:/);
  if (value === undefined) {
    const items = Object.entries(qualifiers)
      .filter(([each]) => each.startsWith(name.toLowerCase()) && (name !== "" || from === 0 || text[from - 1] === " "))
      .map(([each, help]) => ({ insert: `${each}:`, label: `${each}:`, help }));
    return { from, items };
  }
  const begins = value.replace(/^"/, "").toLowerCase();
  const items = valuesOf(name)
    .filter(({ value: each }) => each.toLowerCase().startsWith(begins) && each.toLowerCase() !== begins)
    .slice(0, 12)
    .map(({ value: each, help, open }) => ({ insert: open ? `${name}:${each}` : `${write(name, each)} `, label: each, help }));
  return { from, items };
}

// startOfTerm finds where the term begins that the caret is in. A space in quotes does not
// end a term.
function startOfTerm(text, caret) {
  let from = 0;
  let inQuotes = false;
  for (let at = 0; at < caret; at++) {
    if (text[at] === '"' && text[at - 1] !== "\\") inQuotes = !inQuotes;
    if (text[at] === " " && !inQuotes) from = at + 1;
  }
  return from;
}

function valuesOf(name) {
  const plain = (values) => [...values].map((value) => ({ value }));
  switch (name) {
    case "status":
      return plain(Object.keys(statuses));
    case "error":
      return plain(known.errors);
    case "machine":
      return plain(known.machines.keys());
    case "overdue":
      return plain(["true"]);
    case "started":
      return [
        { value: "<15m", help: "in the last 15 minutes" },
        { value: "<1h", help: "in the last hour" },
        { value: "<24h", help: "in the last day" },
        { value: ">1h", help: "more than an hour ago" },
      ];
    case "label":
      return [...known.labels].flatMap(([label, values]) => [{ value: `${label}=`, open: true }, ...plain([...values].map((each) => `${label}=${each}`))]);
    default:
      return [];
  }
}
