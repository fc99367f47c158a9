// Requests to the API beside the page, below whatever path prefix.
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

// send sends a request and returns its response. One whose token is refused is sent again
// as soon as there is another token, and a read that the service cannot answer now when it
// says. Other errors of the API are thrown.
export async function send(path, { parameters, headers, ...rest } = {}) {
  for (let attempt = 1; ; ) {
    const token = session.current();
    const response = await fetch(address(path, parameters), {
      ...rest,
      cache: "no-store",
      credentials: "omit",
      headers: { Accept: "application/json", ...(token && { Authorization: `Bearer ${token}` }), ...headers },
    });
    if (response.ok) return response;
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
  const response = await fetch(address(path, { limit: 1 }), {
    cache: "no-store",
    credentials: "omit",
    headers: { Authorization: `Bearer ${token}` },
  });
  // A link reads one execution only, and is refused here for that and not for its token.
  if (!response.ok && !(token.startsWith("csl_") && response.status !== 401)) throw await errorOf(response);
}
