// One execution: what it does or did, why, and what it gave.
import { h, icon, set, text } from "./dom.js";
import { address, get, post, send, statusPath } from "./api.js";
import { follow } from "./stream.js";
import { consoleURL, machineNameOf, machineOf, nameOf } from "./arn.js";
import { ago, both, bytes, duration, time, utc, when } from "./format.js";
import { attemptsOf, timeline, verdict } from "./timeline.js";
import { outputOf } from "./json.js";
import { tree } from "./tree.js";
import { badge, wordOf } from "./status.js";
import { menu, ofExecution } from "./commands.js";
import { copy } from "./copy.js";
import { announce } from "./announce.js";
import { go, toSearch } from "./router.js";
import { write } from "./query.js";
import { onPause, setConnection } from "./connection.js";
import * as search from "./search.js";
import * as session from "./session.js";

export const title = "Execution";

export function mount(main, view) {
  const page = new Execution(main, view.argument);
  page.start();
  return { title: nameOf(view.argument), unmount: () => page.stop(), keys: page.keys() };
}

class Execution {
  constructor(main, arn) {
    this.arn = arn;
    search.show("");
    this.status = h("span", { class: "big-status" });
    this.verdict = h("span", { class: "soft" });
    this.error = h("div", {});
    this.line = h("div", { class: "line" });
    this.facts = h("dl", { class: "facts" });
    this.output = h("section", { class: "panel", "aria-labelledby": "output", hidden: true });
    this.trail = h("section", { class: "panel", "aria-labelledby": "trail", hidden: true });
    this.problem = h("div", {});
    main.replaceChildren(this.page());
    onPause(null);
  }

  page() {
    const elsewhere = consoleURL(this.arn);
    const actions = h(
      "div",
      { class: "actions" },
      h("button", { type: "button", title: "Copy the ARN (y)", onclick: () => this.copyARN() }, icon("copy"), "Copy ARN"),
      !session.isLink() && h("button", { type: "button", onclick: () => this.link() }, "Copy link"),
      menu("Copy as", () => ofExecution(this.arn, !this.state?.stopDate)),
      elsewhere && h("a", { class: "button", href: elsewhere, target: "_blank", rel: "noreferrer noopener" }, "AWS console ↗"),
    );
    this.body = h(
      "div",
      {},
      h("section", { class: "panel", "aria-label": "Progress" }, h("div", { class: "panel-head" }, this.status, this.verdict), this.error, this.line),
      h("section", { class: "panel", "aria-label": "Facts" }, this.facts),
      this.output,
      this.trail,
    );
    return h(
      "div",
      { class: "page" },
      !session.isLink() && h("p", { class: "crumbs" }, h("a", { href: "#/executions" }, "Executions"), " / ", h("a", { class: "mono", href: toSearch(write("machine", machineNameOf(this.arn))) }, text(machineNameOf(this.arn)))),
      h("div", { class: "title" }, h("h1", { class: "mono", tabindex: "-1" }, text(nameOf(this.arn))), actions),
      h("p", { class: "arn mono" }, text(this.arn)),
      this.problem,
      this.body,
    );
  }

  start() {
    this.stopped = new AbortController();
    this.body.hidden = true;
    this.follow();
    this.ticking = setInterval(() => this.state && !this.state.stopDate && !document.hidden && this.draw(), 1000);
    if (!session.isLink()) this.readTypical();
  }

  stop() {
    this.stopped.abort();
    this.close();
    clearInterval(this.ticking);
  }

  // follow shows each state as it comes. An execution that has ended may be redriven later,
  // so it is looked at again when somebody comes back to the page.
  follow() {
    this.close = follow(statusPath(this.arn), { view: "status" }, {
      onEvent: (name, data) => name === "status" && this.take(JSON.parse(data)),
      onState: (state, error) => {
        setConnection(state);
        this.connection = state;
        if (state === "refused") this.refuse(error);
        if (state === "ended") this.await();
      },
    });
  }

  await() {
    const again = () => {
      if (document.hidden || this.stopped.signal.aborted) return;
      document.removeEventListener("visibilitychange", again);
      this.follow();
    };
    document.addEventListener("visibilitychange", again, { signal: this.stopped.signal });
  }

  refuse(error) {
    const known = { 404: "Nothing is known of this execution.", 403: "This execution belongs to somebody else.", 400: "This is not the ARN of an execution." };
    this.problem.replaceChildren(
      h("div", { class: "notice warn", role: "alert" }, h("p", {}, known[error.status] ?? "This execution cannot be shown."), h("p", { class: "soft" }, text(error.message)), error.status === 404 && !session.isLink() && h("p", {}, h("a", { href: toSearch(nameOf(this.arn)) }, "Search for its name"))),
    );
  }

  async take(state) {
    const changed = this.state && this.state.status !== state.status;
    if (changed) this.details = { labels: this.details?.labels }; // the others are of the state before
    this.state = { ...this.details, ...state };
    this.body.hidden = false;
    this.problem.replaceChildren();
    this.draw();
    this.writeFacts();
    if (changed || !this.known) announce(`${nameOf(this.arn)}: ${wordOf(state.status)}`);
    this.known = true;
    await this.readDetails(state);
    this.showOutput(state);
    this.readTrail();
  }

  // readDetails reads what a status does not say: from the list, which has no outputs, or,
  // where there is no output, from the full view.
  async readDetails(state) {
    try {
      if (state.status === "SUCCEEDED" && !session.isLink()) {
        const { executions } = await get("v1/executions", { q: this.arn, limit: 1 }, this.stopped.signal);
        this.details = executions.find((each) => each.executionArn === this.arn) ?? {};
      } else if (state.status !== "SUCCEEDED") {
        this.details = await get(statusPath(this.arn), { view: "full", wait: 0 }, this.stopped.signal);
      }
    } catch {
      return; // what is known without them is shown
    }
    const { status, startDate, stopDate, ...rest } = this.details ?? {};
    if (status !== this.state.status) return; // it has gone on meanwhile
    this.state = { ...this.state, ...rest };
    this.draw();
    this.writeFacts();
  }

  async readTypical() {
    try {
      const { machines } = await get("v1/durations", { stateMachineArn: machineOf(this.arn) }, this.stopped.signal);
      this.typical = machines?.[0];
      if (this.state) this.draw();
    } catch {
      // the time line stands without it
    }
  }

  draw() {
    const { state } = this;
    const now = Date.now();
    const seconds = Math.max(0, (state.stopDate ? Date.parse(state.stopDate) : now) - Date.parse(state.startDate)) / 1000;
    const key = `${state.executionStatus ?? state.status} ${state.overdue}`;
    if (this.status.written !== key) {
      this.status.written = key;
      this.status.replaceChildren(badge(state.executionStatus ?? state.status, state.overdue ? "overdue" : ""));
    }
    const compared = state.status === "FAILED" ? "" : verdict(seconds, this.typical);
    set(this.verdict, [duration(seconds), compared].filter(Boolean).join(" · "));
    this.line.replaceChildren(timeline(attemptsOf(state, this.observations, now), this.typical));
    this.writeError(state);
  }

  writeError({ error, errorMessage }) {
    const key = `${error} ${errorMessage}`;
    if (this.error.written === key) return;
    this.error.written = key;
    const shown = errorMessage ?? error;
    this.error.replaceChildren(...(shown ? [h("p", { class: "failure" }, icon("failed"), h("span", {}, text(shown)))] : []));
  }

  writeFacts() {
    const { state } = this;
    const date = (value) => value && h("span", {}, time(value), " ", h("span", { class: "soft" }, `${utc(new Date(value))}`));
    const all = [
      ["Started", date(state.startDate)],
      ["Stopped", date(state.stopDate)],
      ["State machine", h("a", { class: "mono", href: toSearch(write("machine", machineNameOf(this.arn))) }, text(machineNameOf(this.arn)))],
      ["Attempt", state.attempt > 1 && `${state.attempt} (redriven ${state.attempt === 2 ? "once" : `${state.attempt - 1} times`})`],
      ["Usually takes", state.typicalSeconds > 0 && duration(state.typicalSeconds)],
      ["Labels", state.labels && Object.entries(state.labels).map(([name, value]) => h("a", { class: "label", href: toSearch(write("label", `${name}=${value}`)) }, text(name), "=", text(value)))],
      ["Owner", state.owner && h("a", { class: "mono", href: toSearch(write("owner", state.owner)) }, text(state.owner))],
      ["Known since", state.observedAt && h("span", {}, time(state.observedAt), h("span", { class: "soft" }, ` from ${state.source ?? "an event"}`))],
      ["Audited", state.auditedAt && h("span", { title: both(new Date(state.auditedAt)) }, `everything before ${when(new Date(state.auditedAt))} is confirmed`)],
      ["Version", state.version && h("span", { class: "mono" }, text(String(state.version)))],
    ];
    this.facts.replaceChildren(...all.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  // showOutput offers the output, and fetches it only when somebody wants to see it.
  showOutput({ status }) {
    this.output.hidden = status !== "SUCCEEDED";
    if (this.output.hidden || this.output.childElementCount > 0) return;
    this.content = h("div", { class: "content" });
    this.show = h("button", { type: "button", title: "Show the output (o)", onclick: () => this.openOutput() }, "Show");
    this.output.replaceChildren(h("div", { class: "panel-head" }, h("h2", { id: "output" }, "Output"), this.show), this.content);
  }

  async openOutput() {
    this.show.disabled = true;
    this.content.replaceChildren(h("p", { class: "soft" }, "Loading …"));
    try {
      const response = await send(statusPath(this.arn), { parameters: { view: "full", wait: 0 }, signal: this.stopped.signal });
      const answer = new Uint8Array(await response.arrayBuffer());
      // Not response.text(), which would drop a byte order mark.
      this.writeOutput(outputOf(new TextDecoder("utf-8", { ignoreBOM: true }).decode(answer)) ?? "null");
    } catch (error) {
      if (error.name === "AbortError") return;
      this.content.replaceChildren(h("p", { class: "notice warn", role: "alert" }, text(error.message)));
      this.show.disabled = false;
    }
  }

  writeOutput(output) {
    const raw = h("pre", { class: "raw", tabindex: "0", "aria-label": "Output, raw" });
    const asTree = tree(output);
    const body = h("div", {});
    const show = (which) => {
      if (which === "raw" && raw.childNodes.length === 0) raw.append(text(output));
      body.replaceChildren(which === "raw" ? raw : asTree);
    };
    const option = (name, label, checked) => h("label", {}, h("input", { type: "radio", name: "form", value: name, ...(checked && { checked: true }) }), label);
    const forms = h("fieldset", { class: "segments" }, h("legend", { class: "unseen" }, "Form"), option("tree", "Tree", true), option("raw", "Raw"));
    forms.addEventListener("change", (event) => show(event.target.value));
    const size = new TextEncoder().encode(output).length;
    const tools = h("div", { class: "actions" }, h("span", { class: "soft" }, bytes(size)), forms, h("button", { type: "button", onclick: () => copy(output, "Output copied") }, "Copy"), h("button", { type: "button", onclick: () => this.download(output) }, "Download"));
    this.show.replaceWith(tools);
    this.content.replaceChildren(body);
    show("tree");
    forms.querySelector("input").focus();
  }

  download(output) {
    const url = URL.createObjectURL(new Blob([output], { type: "application/json" }));
    h("a", { href: url, download: `${nameOf(this.arn).replace(/[^A-Za-z0-9._-]/g, "_")}.json` }).click();
    URL.revokeObjectURL(url);
  }

  // readTrail reads the observations, which only operators may.
  async readTrail() {
    if (this.noTrail || session.isLink()) return;
    try {
      const trail = await get(`v1/executions/${encodeURIComponent(this.arn)}/trail`, {}, this.stopped.signal);
      this.observations = trail.observations ?? [];
      if (trail.owner) this.state.owner = trail.owner;
      this.writeTrail();
      this.writeFacts();
      this.draw();
    } catch (error) {
      this.noTrail = error.status === 403 || error.status === 404;
    }
  }

  writeTrail() {
    const names = ["seenAt", "source", "status", "attempt", "changed"];
    const more = [...new Set(this.observations.flatMap((each) => Object.keys(each)))].filter((name) => !names.includes(name));
    const cell = (value) => {
      if (value === undefined || value === null || value === "") return "–";
      if (typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value)) return time(value);
      return text(typeof value === "boolean" ? (value ? "yes" : "no") : String(value));
    };
    const all = [...names, ...more];
    const rows = this.observations.map((each) => h("tr", {}, all.map((name) => h("td", { class: more.includes(name) ? "mono" : "" }, name === "status" && each.status ? badge(each.status) : cell(each[name])))));
    const heads = { seenAt: "Seen", source: "Source", status: "Status", attempt: "Attempt", changed: "Changed it" };
    const label = (name) => heads[name] ?? name.replace(/([A-Z])/g, " $1").replace(/^./, (c) => c.toUpperCase());
    this.trail.hidden = this.observations.length === 0;
    this.trail.replaceChildren(
      h("div", { class: "panel-head" }, h("h2", { id: "trail" }, "Trail"), h("p", { class: "soft" }, "Each report of this execution and what it changed. Only operators see it.")),
      h("div", { class: "x-scroll", tabindex: "0", role: "group", "aria-labelledby": "trail" }, h("table", { class: "list" }, h("thead", {}, h("tr", {}, all.map((name) => h("th", { scope: "col" }, label(name))))), h("tbody", {}, rows))),
    );
  }

  copyARN() {
    copy(this.arn, "ARN copied");
  }

  // link makes a link that shows this execution, and nothing else, to whoever has it.
  async link() {
    const said = h("p", { class: "soft" }, "Making a link …");
    const dialog = h("dialog", { class: "help", "aria-labelledby": "link-title" }, h("h2", { id: "link-title" }, "Link to this execution"), said, h("form", { method: "dialog" }, h("button", {}, "Close")));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    try {
      const link = await post("v1/links", { executionArn: this.arn });
      const page = `${address("").href}#link=${link.token}&arn=${encodeURIComponent(this.arn)}`;
      const row = (label, url) => h("div", { class: "command" }, h("p", {}, label), h("code", {}, url), h("button", { type: "button", "aria-label": `Copy: ${label}`, onclick: () => copy(url, "Link copied") }, "Copy"));
      said.replaceWith(h("div", {}, h("p", {}, "Whoever has it reads and follows exactly this execution, without signing in, until ", time(link.expiresAt), "."), row("A page for people", page), row("JSON for programs", address(statusPath(this.arn), { link: link.token }).href)));
      dialog.querySelector(".command button").focus();
    } catch (error) {
      set(said, error.status === 404 ? "This service makes no links." : error.message);
    }
  }

  keys() {
    return [
      ["y", "Copy the ARN", () => this.copyARN()],
      ["l", "Copy a link", () => !session.isLink() && this.link()],
      ["o", "Show the output", () => this.show?.isConnected && !this.show.disabled && this.openOutput()],
      ["Escape", "Back to the list", () => (session.isLink() ? false : history.length > 1 ? history.back() : go("#/executions"))],
    ];
  }
}
