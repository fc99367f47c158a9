// Follows an execution to its end by an EventSource library and prints each state:
// eventsource.mjs eventsource|event-source-polyfill, with STATUS_URL, STATUS_TOKEN, ARN.
import { EventSource } from "eventsource";

const { STATUS_URL: server, STATUS_TOKEN: token, ARN: arn } = process.env;
const url = `${server}/v1/status/${encodeURIComponent(arn)}`;
const headers = { Authorization: `Bearer ${token}` };
const done = () => process.exit(0);
const watched = globalThis.fetch;
globalThis.fetch = async (...request) => {
  const answer = await watched(...request);
  if (answer.status === 204) done(); // the polyfill takes it for a lost connection where there is no XMLHttpRequest
  return answer;
};
const { default: polyfill } = await import("event-source-polyfill"); // now, as it keeps the fetch it finds
const source =
  process.argv[2] === "eventsource"
    ? new EventSource(url, { fetch: (input, init) => watched(input, { ...init, headers: { ...init.headers, ...headers } }) })
    : new polyfill.EventSourcePolyfill(url, { headers });
source.addEventListener("status", (event) => console.log(event.data));
// Both connect again after the end, with the last id: then 204 has to stop them.
source.addEventListener("error", () => {
  if (source.readyState === 2) done();
});
