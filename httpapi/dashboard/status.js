// A status as symbol and word: never by colour alone.
import { h, icon } from "./dom.js";

const words = {
  RUNNING: "Running",
  PENDING_REDRIVE: "Redriving",
  SUCCEEDED: "Succeeded",
  FAILED: "Failed",
  TIMED_OUT: "Timed out",
  ABORTED: "Aborted",
};

export const wordOf = (status) => words[status] ?? status;

// badge shows a status.
export function badge(status, more = "") {
  const known = status in words ? status : "RUNNING";
  const kind = known === "PENDING_REDRIVE" ? "running" : known.toLowerCase();
  return h("span", { class: `badge s-${kind}` }, icon(kind), wordOf(status), more && h("small", {}, more));
}
