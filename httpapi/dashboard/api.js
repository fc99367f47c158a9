const kept = "status-cache.token"; // in sessionStorage

let token = "";
let renewed = null; // resolved by the next token
let need = () => {}; // called with the reason when a token is needed
const changed = new Set();

export const current = () => token;

export const onNeeded = (f) => (need = f);
export const onChanged = (f) => changed.add(f);

export const isLink = () => token.startsWith("csl_");

export function start() {
  const given = fromFragment();
  token = given.token || stored();
  if (given.keep) keep();
  if (given.token) resume();
  return token !== "";
}

// fromFragment reads "#token=…", which `make run` prints, or "#link=…&arn=…", and removes it.
function fromFragment() {
  const fragment = location.hash.slice(1);
  if (!/^(token|link)=/.test(fragment)) return {};
  const values = new URLSearchParams(fragment);
  const arn = values.get("arn");
  history.replaceState(null, "", arn ? `#/executions/${encodeURIComponent(arn)}` : location.pathname + location.search);
  return { token: values.get("token") ?? values.get("link"), keep: values.get("keep") === "tab" };
}

function stored() {
  try {
    return sessionStorage.getItem(kept) ?? "";
  } catch {
    return "";
  }
}

function keep() {
  try {
    sessionStorage.setItem(kept, token);
  } catch {
    // the browser keeps nothing
  }
}

export function signIn(given, keepIt = false) {
  token = given;
  if (keepIt) keep();
  else forget();
  resume();
}

function resume() {
  renewed?.resolve();
  renewed = null;
  for (const f of changed) f();
}

export function signOut() {
  token = "";
  forget();
}

function forget() {
  try {
    sessionStorage.removeItem(kept);
  } catch {
    // there is nothing to remove
  }
}

function renew(refused, reason) {
  if (token !== refused && token !== "") return Promise.resolve();
  renewed ??= Promise.withResolvers();
  need(reason);
  return renewed.promise;
}

const base = new URL(".", document.baseURI);

class ApiError extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

// address is the URL of a path of the API, with the parameters that have a value.
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

export const signedIn = start();

// The first view of most people is requested while the rest of the page still loads.
const early = new Map(); // response with its data, by URL
const moment = 200; // ms that a view waits for it, to be laid out once
const [fragment, query] = location.hash.split("?");
const overview = ["v1/overview", "overview", "chart"];
const views = { __proto__: null, "": overview, "#/": overview, "#/executions": ["v1/executions?limit=100", "executions", "rows", "table"] };
const [path, ...modules] = (signedIn && views[fragment]) || [];
if (path && (!query || path === overview[0])) {
  const url = address(path).href;
  early.set(url, fetch(url, withToken(current())).then(withData));
}
export const ready = Promise.race([...early.values()].map((response) => response.then(({ data }) => data).catch(() => {})).concat(new Promise((resolve) => setTimeout(resolve, early.size && moment))));

for (const name of modules) {
  document.head.append(Object.assign(document.createElement("link"), { rel: "modulepreload", href: new URL(`${name}.js`, import.meta.url) }));
}

function withData(response) {
  const data = response.clone().json();
  data.catch(() => {}); // it is thrown where the data is read
  return Object.assign(response, { data });
}

function takeEarly(url) {
  const response = early.get(url);
  early.delete(url);
  return response;
}

// report is called with a sentence that says why a request waits or a stream is lost.
let report = () => {};
export const onTrouble = (f) => (report = f);

export const reasonOf = ({ status, message }) => (status ? `The service answers ${status}: ${message}` : message);

function unreachable(error) {
  if (error instanceof TypeError) error.message = navigator.onLine ? "The service cannot be reached" : "This device is offline";
  throw error;
}

// send returns the response to a request, which may be a 304. After 401 it sends the request
// again with another token. After 429 and 503 it repeats a read when the service says.
export async function send(path, { parameters, headers, token: given, ...rest } = {}) {
  for (let attempt = 1; ; ) {
    const token = given ?? current();
    const url = address(path, parameters).href;
    const response = await ((!headers && takeEarly(url)) || fetch(url, { ...rest, ...withToken(token, headers) })).catch(unreachable);
    if (response.ok || response.status === 304) return response;
    const error = await errorOf(response);
    const refused = response.status === 401 && !given;
    if (!refused && (rest.method || headers?.Accept || ![429, 503].includes(response.status) || error.retryAfter > longestWait || attempt++ >= attempts)) throw error;
    report(refused ? "A new token is needed" : reasonOf(error));
    if (refused) await renew(token, token ? "expired" : "first");
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

// get returns the data of an answer. It rounds numbers, so it is not for outputs.
export async function get(path, parameters, signal) {
  const response = await send(path, { parameters, signal });
  const { data } = await (response.data ?? response.json());
  signal?.throwIfAborted(); // an early request goes on when its view has been left
  return data;
}

export async function post(path, body) {
  const response = await send(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  return (await response.json()).data;
}

// check asks whether a token is good, without using it for anything else.
export async function check(token) {
  const link = token.startsWith("csl_");
  await send(link ? "v1/status/" : "v1/executions", { parameters: { limit: 1 }, token }).catch((error) => {
    // A link reads one execution only, so a good one is refused too, but not with 401.
    if (!link || !error.status || error.status === 401) throw error;
  });
}

// Streams are Server-Sent Events by fetch: an EventSource cannot send a token.
const silence = 25_000; // ms without a byte; the service sends one each 9 s
const first = 500; // ms before the first attempt to reconnect
const longest = 10_000;
const hiddenFor = 120_000; // ms after which a tab in the background gives its connection back

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
    else hidden = setTimeout(() => stream.abort?.abort(new Error("This tab was in the background")), hiddenFor);
  };
  addEventListener("online", wake);
  document.addEventListener("visibilitychange", seen);
  run(stream, path, parameters, onEvent, onState).finally(close);
  return close;
}

async function run(stream, path, parameters, onEvent, onState) {
  for (let failures = 0; !stream.closed; ) {
    let lost = { message: "The service has closed the connection" };
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
      lost = error;
    }
    report(reasonOf(lost));
    onState("lost");
    await pause(stream, Math.min(longest, Math.max(first * 2 ** failures++, 1000 * (lost.retryAfter ?? 0))));
  }
}

// pause waits before the next attempt, and while the page is hidden.
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
    watchdog = setTimeout(() => abort.abort(new Error(`The service was silent for ${silence / 1000} s`)), silence);
  };
  try {
    alive();
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
      const { value, done } = await reader.read().catch(cut);
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

function cut(error) {
  throw error instanceof TypeError ? new Error("The connection was cut") : error;
}

// parser takes pieces of a stream, and calls onEvent with each event that is complete.
function parser(onEvent) {
  let rest = "";
  return (piece) => {
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const text of events) {
      const event = { data: [] };
      for (const line of text.split("\n")) {
        const [, field, value] = /^(\w+): ?([^]*)/.exec(line) ?? []; // else a comment, to keep the connection open
        if (field === "data") event.data.push(value);
        else event[field] = value;
      }
      if (event.data.length > 0) onEvent(event.event, event.data.join("\n"), event.id);
    }
  };
}
