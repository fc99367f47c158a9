// How the service is: its parts, its audit, its queue.
import { h, set, text } from "./dom.js";
import { get } from "./api.js";
import { ago, count, duration, time, when } from "./format.js";
import { announce } from "./announce.js";
import { onPause, setConnection } from "./connection.js";

const every = 5000; // ms

export const title = "Health";

export function mount(main) {
  const page = new Health(main);
  page.start();
  return { unmount: () => page.stop(), keys: [] };
}

class Health {
  constructor(main) {
    this.asOf = h("span", { class: "soft as-of" });
    this.content = h("div", {});
    main.replaceChildren(h("div", { class: "page" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Health"), this.asOf), this.content));
    onPause(null);
  }

  start() {
    this.stopped = new AbortController();
    this.read();
    this.ticking = setInterval(() => document.hidden || this.read(), every);
  }

  stop() {
    this.stopped.abort();
    clearInterval(this.ticking);
  }

  async read() {
    try {
      const [health, overview] = await Promise.all([get("v1/health", {}, this.stopped.signal), get("v1/overview", {}, this.stopped.signal).catch(() => null)]);
      this.readAt = Date.now();
      this.write(health, overview);
      setConnection("live");
    } catch (error) {
      if (error.name === "AbortError") return;
      setConnection("lost");
    }
    const late = Date.now() - (this.readAt ?? 0) > 2 * every;
    this.content.classList.toggle("stale", late);
    set(this.asOf, this.readAt ? `${late ? "Stale: as of" : "as of"} ${when(new Date(this.readAt))}` : "The service cannot be reached");
  }

  write(health, overview) {
    const signature = JSON.stringify([health, overview?.eventAge, overview?.queue]);
    if (this.written === signature) return;
    if (this.status && this.status !== health.status) announce(`The service is ${health.status}`);
    this.status = health.status;
    this.written = signature;
    const well = health.status === "ok";
    const list = (items) => h("ul", { class: "plain" }, (items ?? []).map((item) => h("li", {}, text(item))));
    this.content.replaceChildren(
      h(
        "section",
        { class: `panel health ${well ? "well" : "ill"}`, "aria-label": "State" },
        h("p", { class: "big" }, h("span", { class: `badge ${well ? "s-succeeded" : "s-failed"}` }, well ? "✓ Ok" : "! Degraded")),
        well ? h("p", { class: "soft" }, "Redis, the queue and the keys can be reached, and events are applied.") : list(health.reasons),
        health.notes?.length > 0 && h("div", {}, h("h2", {}, "Notes"), list(health.notes)),
      ),
      audits(health.audit ?? [], overview?.machines ?? []),
      facts(health, overview),
    );
  }
}

function audits(audit, machines) {
  const heads = [["State machine", ""], ["Confirmed until", ""], ["In doubt", "right"], ["Repaired", "right"], ["Problem", ""]];
  const repairs = new Map(machines.map((machine) => [machine.stateMachineArn.split(":")[6], machine.repairs]));
  const row = (each) =>
    h("tr", {}, h("th", { scope: "row", class: "mono" }, text(each.stateMachine)), h("td", {}, each.confirmedUntil ? h("span", {}, time(each.confirmedUntil), h("span", { class: "soft" }, ` ${ago(new Date(each.confirmedUntil))}`)) : "not yet"),
      h("td", { class: "right number" }, count(each.doubts ?? 0)), h("td", { class: "right number" }, repairs.has(each.stateMachine) ? count(repairs.get(each.stateMachine) ?? 0) : "–"), h("td", {}, text(each.problem ?? "–")));
  return h("section", { class: "panel", "aria-labelledby": "audit" }, h("div", { class: "panel-head" }, h("h2", { id: "audit" }, "Audit"), h("p", { class: "soft" }, "AWS delivers events best effort. The audit compares the cache with Step Functions and replaces what was lost.")),
    audit.length === 0 ? h("p", { class: "soft" }, "No state machine is audited: set STATE_MACHINES.") : h("div", { class: "x-scroll", tabindex: "0", role: "group", "aria-labelledby": "audit" }, h("table", { class: "list" }, h("thead", {}, h("tr", {}, heads.map(([label, kind]) => h("th", { scope: "col", class: kind }, label)))), h("tbody", {}, audit.map(row)))));
}

function facts(health, overview) {
  const age = overview?.eventAge;
  const queue = health.queue ?? overview?.queue;
  const all = [
    ["Version", h("span", { class: "mono" }, text(health.version ?? "–"))],
    ["Age of events when applied", age ? `p50 ${duration(age.p50, 1)}, p99 ${duration(age.p99, 1)}, most ${duration(age.max, 1)}` : "none applied yet"],
    ["Messages in the queue", queue?.depth !== undefined && count(queue.depth)],
    ["Oldest message", queue?.oldestSeconds !== undefined && duration(queue.oldestSeconds)],
    ["Dead letters", queue?.deadLetters !== undefined && count(queue.deadLetters)],
    ["Contract", h("span", {}, h("a", { href: "docs" }, "API documentation"), " · ", h("a", { href: "openapi.yaml" }, "OpenAPI"))],
  ];
  return h("section", { class: "panel", "aria-label": "Facts" }, h("dl", { class: "facts" }, all.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
}
