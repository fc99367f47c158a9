// Requests to the API, below the same path prefix as the page, and its streams.
import * as session from "./session.js";

const base = new URL(".", document.baseURI);

export class ApiError extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

// address is the URL of a path of the API, with the parameters that have a value. A value
// that is a list is given once for each of its items.
export function address(path, parameters = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) {
      if (each !== undefined && each !== null && each !== "") url.searchParams.append(name, each);
    }
  }
  return url;
}

export const statusPath = (arn) => `v1/status/${encodeURIComponent(arn)}`;

const attempts = 4; // of a read that the service cannot answer now
const longestWait = 10; // seconds

const withToken = (token, headers) => ({
  cache: "no-store",
  credentials: "omit",
  headers: { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }), ...headers },
});

export const signedIn = session.start();

// The first view of most people is requested while the rest of the page still loads.
const early = new Map(); // response by URL
const [fragment, query] = location.hash.split("?");
const overview = ["v1/overview", "overview", "chart"];
const views = { __proto__: null, "": overview, "#/": overview, "#/executions": ["v1/executions?limit=100", "executions", "rows", "table"] };
const [path, ...modules] = (signedIn && views[fragment]) || [];
if (path && !query) {
  const url = address(path).href;
  early.set(url, fetch(url, withToken(session.current())));
  early.get(url).catch(() => {}); // it is thrown where the response is waited for
}
for (const name of modules) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: new URL(`${name}.js`, import.meta.url) }));
}

function takeEarly(url) {
  const response = early.get(url);
  early.delete(url);
  return response;
}

// send sends a request and returns its response, which may be a 304. One whose token is
// refused is sent again as soon as there is another token, and a read that the service cannot
// answer now when it says. Other errors of the API are thrown.
export async function send(path, { parameters, headers, ...rest } = {}) {
  for (let attempt = 1; ; ) {
    const token = session.current();
    const url = address(path, parameters).href;
    const response = await ((!headers && takeEarly(url)) || fetch(url, { ...rest, ...withToken(token, headers) }));
    if (response.ok || response.status === 304) return response;
    const error = await errorOf(response);
    if (response.status === 401) await session.renew(token, token ? "expired" : "first");
    else if (rest.method || ![429, 503].includes(response.status) || error.retryAfter > longestWait || attempt++ >= attempts) throw error;
    else await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(1, error.retryAfter)));
    rest.signal?.throwIfAborted();
  }
}

async function errorOf(response) {
  let { code, message } = { code: "", message: `the service answered ${response.status}` };
  try {
    ({ code, message } = (await response.json()).error);
  } catch {
    // something in front of the service has answered
  }
  return new ApiError(response.status, code, message, Number(response.headers.get("Retry-After")) || 0);
}

// get returns the data of an answer. Not for an output, whose numbers it would round.
export async function get(path, parameters, signal) {
  return (await (await send(path, { parameters, signal })).json()).data;
}

export async function post(path, body) {
  const response = await send(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  return (await response.json()).data;
}

// check asks whether a token is good, without using it for anything else.
export async function check(token) {
  const path = token.startsWith("csl_") ? "v1/status/" : "v1/executions";
  const response = await fetch(address(path, { limit: 1 }), withToken(token));
  // A link reads one execution only, and is refused here for that and not for its token.
  if (!response.ok && !(token.startsWith("csl_") && response.status !== 401)) throw await errorOf(response);
}

// Streams are Server-Sent Events by fetch, because an EventSource cannot send a token. One that
// is lost is opened again, for as long as it is wanted.
const silence = 25_000; // ms without a byte after which a stream is taken for lost; the service sends one each 9 s
const first = 500; // ms before the first attempt to reconnect
const longest = 10_000;
const hiddenFor = 120_000; // ms after which a tab that nobody sees gives its connection back

// follow opens a stream. onEvent gets (name, data, id), onState one of "live", "lost" and
// "ended", or "refused" with the error. Returns a function that closes it.
export function follow(path, parameters, { onEvent, onState }) {
  const stream = { closed: false, id: "", abort: null, wake: null };
  const close = () => {
    stream.closed = true;
    stream.abort?.abort();
    stream.wake?.();
    removeEventListener("online", wake);
    document.removeEventListener("visibilitychange", seen);
    clearTimeout(hidden);
  };
  const wake = () => stream.wake?.();
  let hidden = 0;
  const seen = () => {
    clearTimeout(hidden);
    if (!document.hidden) wake();
    else hidden = setTimeout(() => stream.abort?.abort(), hiddenFor);
  };
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", seen);
  run(stream, path, parameters, onEvent, onState).finally(close);
  return close;
}

async function run(stream, path, parameters, onEvent, onState) {
  for (let failures = 0; !stream.closed; ) {
    try {
      const ended = await read(stream, path, parameters, onEvent, () => {
        failures = 0;
        onState("live");
      });
      if (stream.closed) return;
      if (ended) return onState("ended");
    } catch (error) {
      if (stream.closed) return;
      if (error instanceof ApiError && error.status < 500 && error.status !== 429) return onState("refused", error);
    }
    onState("lost");
    await pause(stream, Math.min(longest, first * 2 ** failures++));
  }
}

// pause waits before the next attempt; less where the network is back, and for as long as
// nobody sees the page.
function pause(stream, wait) {
  return new Promise((resolve) => {
    const over = () => {
      clearTimeout(timer);
      stream.wake = null;
      resolve();
    };
    const timer = document.hidden ? 0 : setTimeout(over, wait * (0.75 + Math.random() / 2));
    stream.wake = over;
  });
}

// read reads one connection to its end, and reports whether that is the end of the stream.
async function read(stream, path, parameters, onEvent, opened) {
  const abort = (stream.abort = new AbortController());
  let watchdog = 0;
  const alive = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => abort.abort(), silence);
  };
  try {
    const headers = { Accept: "text/event-stream", ...(stream.id && { "Last-Event-ID": stream.id }) };
    const response = await send(path, { parameters, headers, signal: abort.signal });
    if (response.status === 204) return true;
    let ended = false;
    const take = parser((name, data, id) => {
      if (id) stream.id = id;
      if (name === "end") ended = true;
      if (!stream.closed) onEvent(name, data, id);
    });
    opened();
    alive();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return ended;
      alive();
      take(value);
      if (ended) {
        abort.abort();
        return true;
      }
    }
  } finally {
    clearTimeout(watchdog);
  }
}

export function parser(onEvent) {
  let rest = "";
  let event = { name: "message", data: [], id: "" };
  const line = (text) => {
    if (text === "") {
      if (event.data.length > 0) onEvent(event.name, event.data.join("\n"), event.id);
      event = { name: "message", data: [], id: "" };
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment, to keep the connection open
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(text[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") event.data.push(value);
    else if (field === "event") event.name = value;
    else if (field === "id") event.id = value;
  };
  return (piece) => {
    let searched = rest.length;
    rest += piece;
    let from = 0;
    for (let end = rest.indexOf("\n", searched); end >= 0; end = rest.indexOf("\n", from)) {
      line(rest.slice(from, rest[end - 1] === "\r" && end > from ? end - 1 : end));
      from = end + 1;
    }
    rest = rest.slice(from);
  };
}
