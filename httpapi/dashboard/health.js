import { ago, count, duration, facts, h, icon, panel, set, soft, text, time, when, wide } from "./dom.js";
import { get, reasonOf } from "./api.js";
import { explain, onPause, setConnection, setService } from "./notify.js";

const every = 5000; // ms

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
      this.write(health, overview);
      set(this.asOf, `As of ${when(new Date())}`);
      setConnection("live");
      setService(health);
    } catch (error) {
      if (error.name === "AbortError") return;
      explain(reasonOf(error));
      setConnection("lost");
    }
  }

  write(health, overview) {
    const signature = JSON.stringify([health, overview?.eventAge, overview?.queue, overview?.machines]);
    if (this.written === signature) return;
    this.written = signature;
    const well = health.status === "ok";
    const list = (items) => h("ul", { class: "plain" }, (items ?? []).map((item) => h("li", {}, text(item))));
    this.content.replaceChildren(
      h(
        "section",
        { class: `panel health ${well ? "well" : "ill"}`, "aria-label": "State" },
        h("p", { class: "big" }, state(well, well ? "All is well" : "Degraded")),
        well ? soft("No part reports a problem.") : list(health.reasons),
        health.parts && h("ul", { class: "parts", "aria-label": "Parts" }, health.parts.map(({ name, problem }) => h("li", {}, state(!problem, names[name] ?? name), problem && h("small", {}, text(problem))))),
        health.notes?.length > 0 && h("div", {}, h("h2", {}, "Notes"), list(health.notes)),
      ),
      queue(overview),
      audits(health.audit ?? [], overview?.machines ?? []),
      about(health, overview),
    );
  }
}

const names = {
  redis: "Redis", "ingest receive": "Receiving events", "ingest decode": "Reading events", "ingest store": "Storing events",
  "ingest delete": "Deleting received events", "ingest lag": "Keeping up", "signing keys": "Keys of the issuer",
};

const state = (well, label) => h("span", { class: `badge ${well ? "s-succeeded" : "s-failed"}` }, icon(well ? "succeeded" : "failed"), label);

// queue is what waits to be applied. Only operators get it.
function queue(overview) {
  if (!overview?.queue) return "";
  const { depth, oldestSeconds, deadLetters, observedAt } = overview.queue;
  const tile = (label, value, note, tone = "") => h("li", {}, h("div", { class: `tile ${tone}` }, h("span", { class: "tile-label" }, label), h("strong", {}, value ?? "–"), h("span", { class: "tile-note" }, value === null ? "not known" : note)));
  const tiles = [
    tile("Messages waiting", depth === null ? null : count(depth), depth === 0 ? "all are applied" : "to be received"),
    tile("Oldest message", oldestSeconds === null ? null : duration(oldestSeconds), depth === 0 ? "nothing waits" : "its waiting time", oldestSeconds > 60 ? "late" : ""),
    tile("Dead letters", deadLetters === null ? null : count(deadLetters), deadLetters > 0 ? "see statusctl dlq list" : "no message was given up", deadLetters > 0 ? "bad" : ""),
  ];
  const note = observedAt ? ["Reported by SQS at ", time(observedAt), "."] : ["No process reports it yet."];
  return panel("queue", "Queue", soft(...note, " Only operators see it."), h("ul", { class: "tiles" }, tiles));
}

function audits(audit, machines) {
  const heads = [["State machine", ""], ["Confirmed until", ""], ["Still different", "right"], ["Repaired", "right"], ["Problem", ""]];
  const repairs = new Map(machines.map((machine) => [machine.stateMachineArn.split(":")[6], machine.repairs]));
  const row = (each) =>
    h("tr", {}, h("th", { scope: "row", class: "mono" }, text(each.stateMachine)), h("td", {}, each.confirmedUntil ? h("span", {}, time(each.confirmedUntil), h("span", { class: "soft" }, ` ${ago(new Date(each.confirmedUntil))}`)) : "not yet"),
      h("td", { class: "right number" }, count(each.doubts ?? 0)), h("td", { class: "right number" }, repairs.has(each.stateMachine) ? count(repairs.get(each.stateMachine) ?? 0) : "–"), h("td", {}, text(each.problem ?? "–")));
  const note = soft("AWS delivers events best effort. The audit compares the cache with Step Functions and replaces what was lost.");
  return panel("audit", "Audit", note, audit.length === 0 ? soft("No audit is reported. It covers the machines in STATE_MACHINES.") : wide("audit", heads, h("tbody", {}, audit.map(row))));
}

function about(health, overview) {
  const age = overview?.eventAge;
  const all = [
    ["Version", h("span", { class: "mono" }, text(health.version ?? "–"))],
    ["Delay of events", age ? `half within ${duration(age.p50, 1)}, 99 % within ${duration(age.p99, 1)}, all within ${duration(age.max, 1)}` : "not known"],
    ["Contract", h("span", {}, h("a", { href: "docs" }, "API documentation"), " · ", h("a", { href: "openapi.yaml" }, "OpenAPI"))],
  ];
  return h("section", { class: "panel", "aria-label": "Facts" }, facts(all));
}
