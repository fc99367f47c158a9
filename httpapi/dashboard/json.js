// Reads JSON without changing a byte of it. JSON.parse would round 2^53+1, turn 1.0e10 into
// 10000000000 and drop all but the last of members with the same name; here a value is
// where it begins and ends in the text. The text is what the API sent, so it is well formed;
// what is not is shown as it is. Nothing here recurses: an output may be nested as deep as
// it is long.

const quote = 34, backslash = 92, open = new Set([91, 123]), close = new Set([93, 125]);

const isSpace = (code) => code === 32 || code === 10 || code === 13 || code === 9;

export function skipSpace(text, at) {
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

// endOfString returns where a string that begins at its quote ends.
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

// endOf returns where the value ends that begins at a place.
export function endOf(text, at) {
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
export function* parts(text, at) {
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

// member returns {start, end} of the member of an object, or null.
export function member(text, at, name) {
  const key = JSON.stringify(name);
  for (const each of parts(text, at)) if (each.key === key) return each;
  return null;
}

// outputOf returns the output in an answer of the status route, as it stands there; null if
// it has none.
export function outputOf(answer) {
  const data = member(answer, skipSpace(answer, 0), "data");
  const output = data && member(answer, data.start, "output");
  return output && answer.slice(output.start, output.end);
}

export const isContainer = (text, at) => open.has(text.charCodeAt(at));

// typeOf names the kind of the value that begins at a place.
export function typeOf(text, at) {
  const first = text[at];
  if (first === "{") return "object";
  if (first === "[") return "array";
  if (first === '"') return "string";
  if (first === "t" || first === "f") return "boolean";
  return first === "n" ? "null" : "number";
}
