import { badge, duration, facts, h, icon, openDialog, panel, set, soft, text, time, utc, when, wide, wordOf } from "./dom.js";
import { address, follow, get, isLink, post, send, statusPath } from "./api.js";
import { attemptsOf, timeline, verdict } from "./chart.js";
import { Output } from "./output.js";
import { copyable, menu, ofExecution } from "./commands.js";
import { consoleURL, go, machineNameOf, machineOf, nameOf, toSearch } from "./router.js";
import * as search from "./search.js";
import { announce, copy, onPause, setConnection } from "./notify.js";

const lookEvery = 10_000; // ms
const ignore = () => {}; // the page works without what could not be read

export function mount(main, view) {
  const page = new Execution(main, view);
  page.start();
  return { unmount: () => page.stop(), keys: page.keys() };
}

// leadTo leads to the executions with a value; a link shows no others.
const leadTo = (kind, value, look, ...label) => h(isLink() ? "span" : "a", { class: look, href: !isLink() && toSearch(search.write(kind, value)) }, ...label);

class Execution {
  constructor(main, { argument: arn, first }) {
    Object.assign(this, { arn, first });
    this.stopped = new AbortController();
    this.status = h("span", { class: "big-status" });
    this.verdict = h("span", { class: "soft" });
    this.error = h("div", {});
    this.line = h("div", { class: "line" });
    this.facts = h("div", {});
    this.output = new Output(arn, this.stopped.signal, (details) => this.learn(details));
    this.trail = h("section", { class: "panel", "aria-labelledby": "trail", hidden: true });
    this.problem = h("div", {}, soft("Loading …"));
    main.replaceChildren(this.page());
    onPause(null);
  }

  page() {
    const elsewhere = consoleURL(this.arn);
    const actions = h(
      "div",
      { class: "actions" },
      h("button", { type: "button", title: "Copy the ARN (y)", onclick: () => this.copyARN() }, icon("copy"), "Copy ARN"),
      !isLink() && h("button", { type: "button", title: "Copy a link (l)", onclick: () => this.link() }, "Copy link"),
      menu("Copy as", () => ofExecution(this.arn, !this.state?.stopDate)),
      elsewhere && h("a", { class: "button", href: elsewhere, target: "_blank", rel: "noreferrer noopener" }, "AWS console ↗"),
    );
    this.body = h(
      "div",
      {},
      h("section", { class: "panel", "aria-label": "Progress" }, h("div", { class: "panel-head" }, this.status, this.verdict), this.error, this.line),
      h("section", { class: "panel", "aria-label": "Facts" }, this.facts),
      this.output.element,
      this.trail,
    );
    return h(
      "div",
      { class: "page" },
      !isLink() && h("p", { class: "crumbs" }, h("a", { href: "#/executions", title: "Esc goes back" }, "Executions"), " / ", this.machine()),
      h("div", { class: "title" }, h("h1", { class: "mono", tabindex: "-1" }, text(nameOf(this.arn))), actions),
      h("p", { class: "arn mono" }, text(this.arn)),
      this.problem,
      this.body,
    );
  }

  machine() {
    const name = machineNameOf(this.arn);
    return leadTo("machine", name, "mono", text(name));
  }

  start() {
    this.body.hidden = true;
    this.follow();
    this.ticking = setInterval(() => this.state && !this.state.stopDate && !document.hidden && this.connection !== "lost" && this.draw(), 1000);
    this.looking = setInterval(() => {
      this.look().catch(ignore);
      // Whether it is confirmed may change; a link that has the focus stays.
      if (this.state && !this.confirmed && !document.hidden && !isLink() && !this.facts.contains(document.activeElement)) this.readOverview().catch(ignore);
    }, lookEvery);
    document.addEventListener("visibilitychange", () => this.look().catch(ignore), { signal: this.stopped.signal });
    if (isLink()) return;
    this.readTypical().catch(ignore);
    this.readOverview().catch(ignore);
  }

  stop() {
    this.stopped.abort();
    this.close();
    clearInterval(this.ticking);
    clearInterval(this.looking);
  }

  follow() {
    this.close?.();
    this.close = follow(statusPath(this.arn), { view: "status" }, {
      onEvent: (name, data, id) => name === "status" && this.take({ ...JSON.parse(data), version: id }),
      onState: (state, error) => {
        setConnection(state);
        if (state === "lost" && this.connection !== state) this.lostAt = Date.now();
        this.connection = state;
        if (this.state) this.draw();
        if (state === "refused") this.refuse(error);
      },
    });
  }

  // look notices a redrive after the execution and its stream have ended.
  async look() {
    if (document.hidden || this.connection !== "ended") return;
    const headers = this.tag && { "If-None-Match": this.tag };
    const response = await send(statusPath(this.arn), { parameters: { view: "status", wait: 0 }, headers, signal: this.stopped.signal });
    if (response.status === 304) return;
    this.tag = response.headers.get("ETag");
    const { data } = await response.json();
    if (data.status !== this.state?.status || data.stopDate !== this.state.stopDate) this.follow();
  }

  refuse(error) {
    const known = { 404: "Nothing is known of this execution.", 403: "This execution belongs to another owner.", 400: "This is not the ARN of an execution." };
    this.problem.replaceChildren(
      h("div", { class: "notice warn", role: "alert" }, h("p", {}, known[error.status] ?? "This execution cannot be shown."), h("p", { class: "soft" }, text(error.message)), error.status === 404 && !isLink() && h("p", {}, h("a", { href: toSearch(nameOf(this.arn)) }, "Search for its name"))),
    );
  }

  async take(state) {
    const changed = this.state && (this.state.status !== state.status || this.state.stopDate !== state.stopDate);
    this.state = { ...(changed ? this.lasting() : this.state), ...state };
    this.body.hidden = false;
    this.problem.replaceChildren();
    this.draw();
    this.writeFacts();
    if (changed || !this.announced) announce(`${nameOf(this.arn)}: ${wordOf(state.status)}`);
    this.announced = true;
    this.output.offer(state);
    await this.readDetails(state).catch(ignore);
    if (this.isOperator) this.readTrail().catch(ignore);
  }

  lasting() {
    const { labels, owner, typicalSeconds } = this.state;
    return { labels, owner, typicalSeconds };
  }

  // learn adds details to the state that is shown, if they belong to it.
  learn({ status, stopDate, startDate, ...details }) {
    if (this.state && (status ?? this.state.status) !== this.state.status) return; // it has changed meanwhile
    this.state = { ...this.state, ...details };
    this.draw();
    this.writeFacts();
  }

  async readDetails({ status }) {
    if (status !== "SUCCEEDED") {
      this.learn(await get(statusPath(this.arn), { view: "full", wait: 0 }, this.stopped.signal));
    } else if (!isLink()) {
      const { executions } = await get("v1/executions", { q: this.arn, limit: 1 }, this.stopped.signal);
      this.learn(executions.find((each) => each.executionArn === this.arn) ?? {});
    }
  }

  // readOverview reads how far the audit is. Only operators get the queue, and the trail.
  async readOverview() {
    const { machines, ...overview } = await get("v1/overview", {}, this.stopped.signal);
    this.auditedAt = machines.find((each) => each.stateMachineArn === machineOf(this.arn))?.confirmedUntil;
    this.isOperator = "queue" in overview;
    if (!this.state) return;
    this.writeFacts();
    if (this.isOperator && !this.observations) await this.readTrail();
  }

  async readTypical() {
    const { machines } = await get("v1/durations", { stateMachineArn: machineOf(this.arn) }, this.stopped.signal);
    this.typical = machines?.[0];
    if (this.state) this.draw();
  }

  draw() {
    const { state } = this;
    const lost = this.connection === "lost";
    const now = lost ? this.lostAt : Date.now();
    const seconds = Math.max(0, (state.stopDate ? Date.parse(state.stopDate) : now) - Date.parse(state.startDate)) / 1000;
    const key = `${state.executionStatus ?? state.status} ${state.overdue}`;
    if (this.status.written !== key) {
      this.status.written = key;
      this.status.replaceChildren(badge(state.executionStatus ?? state.status, state.overdue ? "overdue" : ""));
    }
    const compared = state.status === "FAILED" ? "" : verdict(seconds, this.typical, !state.stopDate);
    set(this.verdict, [duration(seconds), compared, lost && `as of ${when(new Date(now))}`].filter(Boolean).join(" · "));
    this.line.replaceChildren(timeline(attemptsOf(state, this.observations, now), this.typical));
    this.writeError(state);
  }

  writeError({ error, errorMessage }) {
    const key = `${error} ${errorMessage}`;
    if (this.error.written === key) return;
    this.error.written = key;
    const shown = errorMessage ?? error;
    this.error.replaceChildren(...(shown ? [h("p", { class: "failure" }, icon("failed"), h("span", {}, text(shown)), error && !isLink() && leadTo("error", error, "", "Others with this error"))] : []));
  }

  writeFacts() {
    const { state } = this;
    this.confirmed = Date.parse(this.auditedAt) >= Date.parse(state.stopDate ?? state.startDate);
    const date = (value) => value && h("span", {}, time(value), " ", h("span", { class: "soft" }, `· ${utc(new Date(value))}`));
    const all = [
      ["Started", date(state.startDate)],
      ["Stopped", date(state.stopDate)],
      ["State machine", this.machine()],
      ["Attempt", state.attempt > 1 && `${state.attempt} (redriven ${state.attempt === 2 ? "once" : `${state.attempt - 1} times`})`],
      ["Usually takes", state.typicalSeconds > 0 && duration(state.typicalSeconds)],
      ["Labels", state.labels && Object.entries(state.labels).map(([name, value]) => leadTo("label", `${name}=${value}`, "label", text(name), "=", text(value)))],
      ["Owner", state.owner && leadTo("owner", state.owner, "mono", text(state.owner))],
      ["Known since", state.observedAt && h("span", {}, time(state.observedAt), h("span", { class: "soft" }, ` from ${state.source ?? "an event"}`))],
      ["Audited", this.auditedAt && h("span", {}, this.confirmed ? "Confirmed" : "Not yet confirmed", ": audited until ", time(this.auditedAt))],
      ["Version", state.version && h("span", { class: "mono" }, text(String(state.version)))],
    ];
    this.facts.replaceChildren(facts(all));
  }

  // readTrail reads the observations, which also say since when this state is known.
  async readTrail() {
    const { observations, owner } = await get(`v1/executions/${encodeURIComponent(this.arn)}/trail`, {}, this.stopped.signal);
    this.observations = observations ?? [];
    const last = this.observations.findLast((each) => each.changed && each.version === this.state.version);
    this.learn({ ...(owner && { owner }), ...(last && { observedAt: last.seenAt, source: last.source }) });
    this.trail.hidden = this.observations.length === 0;
    this.trail.replaceChildren(...trailOf(this.observations));
  }

  copyARN() {
    copy(this.arn, "ARN copied");
  }

  async link() {
    const said = h("p", { class: "soft" }, "Making a link …");
    const dialog = openDialog("link-title", "help", "Link to this execution", said, h("form", { method: "dialog" }, h("button", {}, "Close")));
    try {
      const link = await post("v1/links", { executionArn: this.arn });
      const page = `${address("").href}#link=${link.token}&arn=${encodeURIComponent(this.arn)}`;
      said.replaceWith(h("div", {}, h("p", {}, "Anyone with this link can read and follow only this execution, without signing in, until  ", time(link.expiresAt), "."), copyable("A page for people", page), copyable("JSON for programs", address(statusPath(this.arn), { link: link.token }).href)));
      dialog.querySelector(".command button").focus();
    } catch (error) {
      set(said, error.status === 404 ? "This service makes no links." : error.message);
    }
  }

  keys() {
    return [
      ["y", "Copy the ARN", () => this.copyARN()],
      ["l", "Copy a link", () => !isLink() && this.link()],
      ["o", "Show the output", () => this.output.open()],
      ["Escape", "Back to the list", () => (isLink() ? false : this.first ? go("#/executions") : history.back())],
    ];
  }
}

// The columns of the trail: each report about the execution, and its result.
const heads = {
  seenAt: "Seen", source: "Source", status: "Status", attempt: "Attempt", changed: "Changed it", verdict: "Verdict",
  version: "Version", eventId: "Event ID", emittedAt: "Emitted", receivedAt: "Received",
};

function cell(name, value) {
  if (value === undefined || value === null || value === "") return h("td", { class: "soft" }, "–");
  if (name === "status") return h("td", {}, badge(value));
  if (typeof value === "boolean") return h("td", {}, value ? "yes" : "no");
  if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return h("td", {}, time(value, (date) => `${when(date)}.${String(date.getMilliseconds()).padStart(3, "0")}`));
  return h("td", { class: ["version", "eventId"].includes(name) ? "mono" : "" }, text(String(value)));
}

function trailOf(observations) {
  const used = Object.keys(heads).filter((name) => observations.some((each) => each[name] !== undefined));
  const rows = observations.map((each) => h("tr", {}, used.map((name) => cell(name, each[name]))));
  const note = soft("Each report about this execution, and whether it changed the status. Only operators see it.");
  return panel("trail", "Trail", note, wide("trail", used.map((name) => [heads[name]]), h("tbody", {}, rows))).children;
}
