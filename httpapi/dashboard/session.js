
const name = "status-cache.token";

let token = "";
let renewed = null; // what waits for the next token
const asked = new Set(); // called when a token is needed
const changed = new Set();

export const current = () => token;

export const onNeeded = (f) => asked.add(f);
export const onChanged = (f) => changed.add(f);

export const isLink = () => token.startsWith("csl_");

// start takes the token from the fragment of the address, or from the storage of this tab.
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
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

export function keep() {
  try {
    sessionStorage.setItem(name, token);
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

// resume runs what waited for a token.
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
    sessionStorage.removeItem(name);
  } catch {
    // there is nothing to remove
  }
}

export function renew(refused, reason) {
  if (token !== refused && token !== "") return Promise.resolve();
  renewed ??= Promise.withResolvers();
  for (const f of asked) f(reason);
  return renewed.promise;
}
