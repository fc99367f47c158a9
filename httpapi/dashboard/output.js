import { bytes, count, h, panel, segments, text } from "./dom.js";
import { send, statusPath } from "./api.js";
import { nameOf } from "./router.js";
import { copyable, describe } from "./commands.js";
import { copy } from "./notify.js";

export class Output {
  // onDetails gets the rest of the answer.
  constructor(arn, signal, onDetails) {
    Object.assign(this, { arn, signal, onDetails });
    this.element = h("section", { class: "panel", "aria-labelledby": "output", hidden: true });
  }

  // offer removes the output of an earlier attempt.
  offer({ status, stopDate }) {
    const of = status === "SUCCEEDED" && stopDate;
    this.element.hidden = !of;
    if (this.of === of) return;
    this.of = of;
    this.expired = false;
    this.element.replaceChildren();
    if (!of) return;
    this.content = h("div", { class: "content" });
    this.button = h("button", { type: "button", title: "Show the output (o)", onclick: () => this.open() }, "Show");
    this.element.replaceChildren(...panel("output", "Output", this.button, this.content).children);
  }

  async open() {
    if (!this.button?.isConnected || this.button.disabled) return;
    this.button.disabled = true;
    this.content.replaceChildren(h("p", { class: "soft" }, "Loading …"));
    try {
      if (this.expired) await send(`v1/executions/${encodeURIComponent(this.arn)}/output`, { method: "POST", parameters: { wait: 20 }, signal: this.signal });
      const response = await send(statusPath(this.arn), { parameters: { view: "full", wait: 0 }, signal: this.signal });
      // Not response.text(), which would drop a byte order mark.
      const answer = new TextDecoder("utf-8", { ignoreBOM: true }).decode(await response.arrayBuffer());
      const details = detailsOf(answer);
      this.onDetails(details);
      if (details.outputExpired || details.outputGone || details.outputTruncated) this.missing(details);
      else this.write(outputOf(answer) ?? "null");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.again("Try again", h("p", { class: "notice warn", role: "alert" }, text(error.message)));
    }
  }

  again(label, ...why) {
    this.content.replaceChildren(...why);
    this.button.textContent = label;
    this.button.disabled = false;
  }

  missing({ outputExpired, outputGone }) {
    this.expired = outputExpired && !outputGone;
    const why = outputGone
      ? "The output has been removed: outputs are kept for a shorter time than statuses. Step Functions no longer has it either."
      : outputExpired
        ? "The output has been removed: outputs are kept for a shorter time than statuses. It can be fetched from Step Functions again, or with:"
        : "The output was too large for the event and could not be fetched. Step Functions may still have it:";
    this.again(this.expired ? "Fetch it again" : "Try again", h("p", { role: "alert" }, why), ...(outputGone ? [] : [copyable("", describe(this.arn))]));
  }

  write(output) {
    const raw = h("pre", { class: "raw", tabindex: "0", "aria-label": "Output, raw" });
    const asTree = tree(output);
    const body = h("div", {});
    const show = (which) => {
      if (which === "raw" && raw.childNodes.length === 0) raw.append(text(output));
      body.replaceChildren(which === "raw" ? raw : asTree);
    };
    const forms = segments("form", "Form", { tree: "Tree", raw: "Raw" }, show, "tree");
    const size = new TextEncoder().encode(output).length;
    const tools = h("div", { class: "actions" }, h("span", { class: "soft" }, bytes(size)), forms, h("button", { type: "button", onclick: () => copy(output, "Output copied") }, "Copy"), h("button", { type: "button", onclick: () => this.download(output) }, "Download"));
    this.button.replaceWith(tools);
    this.content.replaceChildren(body);
    show("tree");
    forms.querySelector("input").focus();
  }

  download(output) {
    const url = URL.createObjectURL(new Blob([output], { type: "application/json" }));
    h("a", { href: url, download: `${nameOf(this.arn).replace(/[^A-Za-z0-9._-]/g, "_")}.json` }).click();
    URL.revokeObjectURL(url);
  }
}

const atOnce = 100; // parts that are shown before "more"
const longString = 800; // characters
const openBelow = 12; // a part with fewer parts is open from the start, down to openDepth
const openDepth = 2;

function tree(json) {
  const start = skipSpace(json, 0);
  return h("div", { class: "tree" }, node(json, { key: null, start, end: json.trimEnd().length }, 0, ""));
}

function node(json, part, depth, label) {
  const name = label === "" ? [] : [h("span", { class: part.key === null ? "tree-index" : "tree-key" }, text(label)), ": "];
  if (!isContainer(json, part.start)) return h("div", { class: "tree-leaf" }, name, scalar(json, part));
  return container(json, part, depth, name);
}

function container(json, part, depth, name) {
  const type = typeOf(json, part.start);
  const size = sizeOf(json, part.start);
  const what = type === "object" ? `{ ${count(size)} }` : `[ ${count(size)} ]`;
  if (size === 0) return h("div", { class: "tree-leaf" }, name, h("span", { class: "soft" }, type === "object" ? "{ }" : "[ ]"));
  const body = h("div", { class: "tree-parts" });
  const details = h("details", {}, h("summary", {}, name, h("span", { class: "soft" }, what)), body);
  const fill = () => {
    if (details.open && body.childElementCount === 0) more(json, body, parts(json, part.start), depth, 0, size);
  };
  details.addEventListener("toggle", fill);
  if (depth === 0 || (depth < openDepth && size < openBelow)) {
    details.open = true;
    fill();
  }
  return details;
}

function sizeOf(json, start) {
  let size = 0;
  for (const _ of parts(json, start)) size++;
  return size;
}

function more(json, body, rest, depth, from, size) {
  const end = Math.min(size, from + atOnce);
  for (let at = from; at < end; at++) {
    const part = rest.next().value;
    body.append(node(json, part, depth + 1, part.key ?? String(at)));
  }
  if (end === size) return;
  const button = h("button", { type: "button", class: "quiet more" }, `Show more (${count(size - end)} left)`);
  button.addEventListener("click", () => {
    const next = button.previousElementSibling;
    button.remove();
    more(json, body, rest, depth, end, size);
    next.nextElementSibling.querySelector("summary, button")?.focus();
  });
  body.append(button);
}

function scalar(json, { start, end }) {
  const type = typeOf(json, start);
  const value = h("span", { class: `tree-${type}` });
  if (end - start <= longString) {
    value.append(text(json.slice(start, end)));
    return value;
  }
  value.append(text(json.slice(start, start + longString)), "… ");
  const all = h("button", { type: "button", class: "quiet more" }, `Show all ${count(end - start)} characters`);
  all.addEventListener("click", () => {
    value.replaceChildren(text(json.slice(start, end)));
    value.tabIndex = -1;
    value.focus();
  });
  value.append(all);
  return value;
}

// Reads JSON without changing a byte of it: a value is where it begins and ends in the text.
// JSON.parse would round 2^53+1 and drop members. Nothing recurses: outputs may be deep.

const quote = 34, backslash = 92, open = new Set([91, 123]), close = new Set([93, 125]);

const isSpace = (code) => code === 32 || code === 10 || code === 13 || code === 9;

function skipSpace(text, at) {
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

function endOfString(text, at) {
  for (;;) {
    const end = text.indexOf('"', at + 1);
    if (end < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === backslash && end - 1 - slashes > 0) slashes++;
    if (slashes % 2 === 0) return end + 1;
    at = end;
  }
}

function endOf(text, at) {
  if (text.charCodeAt(at) === quote) return endOfString(text, at);
  if (!open.has(text.charCodeAt(at))) {
    while (at < text.length && !/[\s,\]}]/.test(text[at])) at++;
    return at;
  }
  for (let depth = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfString(text, at);
      continue;
    }
    if (open.has(code)) depth++;
    if (close.has(code) && --depth === 0) return at + 1;
    at++;
  }
  return text.length;
}

// parts goes through the members of an object or the items of an array that begins at a
// place. Each is {key, start, end}: key is the raw name with its quotes, null in an array.
function* parts(text, at) {
  const object = text[at] === "{";
  at = skipSpace(text, at + 1);
  while (at < text.length && !close.has(text.charCodeAt(at))) {
    let key = null;
    if (object) {
      const end = endOfString(text, at);
      key = text.slice(at, end);
      at = skipSpace(text, skipSpace(text, end) + 1); // behind the colon
    }
    const start = at;
    at = endOf(text, start);
    yield { key, start, end: at };
    at = skipSpace(text, at);
    if (text[at] === ",") at = skipSpace(text, at + 1);
    else if (!close.has(text.charCodeAt(at))) return;
  }
}

function member(text, at, name) {
  const key = JSON.stringify(name);
  for (const each of parts(text, at)) if (each.key === key) return each;
  return null;
}

// outputOf returns the output as it stands in an answer of the status route, or null.
function outputOf(answer) {
  const data = member(answer, skipSpace(answer, 0), "data");
  const output = data && member(answer, data.start, "output");
  return output && answer.slice(output.start, output.end);
}

function detailsOf(answer) {
  const data = member(answer, skipSpace(answer, 0), "data");
  const details = {};
  for (const { key, start, end } of data ? parts(answer, data.start) : []) {
    if (key !== '"output"') details[JSON.parse(key)] = JSON.parse(answer.slice(start, end));
  }
  return details;
}

const isContainer = (text, at) => open.has(text.charCodeAt(at));

function typeOf(text, at) {
  const first = text[at];
  if (first === "{") return "object";
  if (first === "[") return "array";
  if (first === '"') return "string";
  if (first === "t" || first === "f") return "boolean";
  return first === "n" ? "null" : "number";
}
