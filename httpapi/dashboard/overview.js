import { ago, count, duration, h, icon, keyed, panel, percent, plural, segments, set, soft, text, time, when, wide } from "./dom.js";
import { follow, get } from "./api.js";
import { Chart, spark } from "./chart.js";
import { go, machineNameOf, toSearch } from "./router.js";
import { knowError, knowMachine, write } from "./search.js";
import { gettingStarted } from "./commands.js";
import { setConnection, setService } from "./notify.js";

const failuresEvery = 10_000; // ms
const confirmedLately = 10 * 60_000; // ms

const windows = { "1h": "1 h", "24h": "24 h", "7d": "7 d" };
const windowOf = ({ parameters }) => (Object.hasOwn(windows, parameters.get("window")) ? parameters.get("window") : "24h");

export function mount(main, view) {
  const page = new Overview(main, windowOf(view));
  page.start();
  return { update: (next) => page.showWindow(windowOf(next)), unmount: () => page.stop(), keys: [] };
}

class Overview {
  constructor(main, window) {
    this.window = window;
    this.readAt = this.failuresAt = 0;
    this.tiles = h("ul", { class: "tiles" });
    this.groups = h("tbody", {});
    this.groupsNote = h("p", { class: "soft empty" });
    this.machines = h("tbody", {});
    this.asOf = h("span", { class: "soft as-of" });
    this.happening = h("p", {});
    this.reliable = h("p", {});
    this.notice = h("div", {});
    this.minutes = new Chart({
      title: "Executions per minute", bars: true, unit: "getMinutes", every: [1, 5, 10, 15, 30], choose: (start) => showStarted(start, 60_000), format: count, empty: "No start and no end is known in the last hour",
      series: [{ name: "succeeded", class: "g-succeeded" }, { name: "failed", class: "g-failed" }, { name: "started", class: "g-started", line: true }],
    });
    this.durations = new Chart({
      title: "Durations by hour", log: true, unit: "getHours", every: [1, 3, 6, 12], choose: (start) => showStarted(start, 3600_000, write("machine", machineNameOf(this.machine.value))), format: duration, empty: "No run time is known yet",
      series: [{ name: "p50", class: "g-p50" }, { name: "p95", class: "g-p95" }, { name: "p99", class: "g-p99" }],
    });
    this.body = h("div", { class: "page" }, h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Overview"), this.asOf), this.notice, h("div", { class: "headline" }, this.happening, this.reliable), this.tiles, this.failures(), this.charts(), this.table());
    main.replaceChildren(this.body);
  }

  failures() {
    this.windows = segments("window", "Time", windows, (window) => go(window === "24h" ? "#/" : `#/?window=${window}`), this.window);
    const heads = [["Error", ""], ["State machine", "wide"], ["Count", "right"], ["Share", "wide right"], ["Trend", ""], ["First seen", "wide"], ["Last seen", "wide"]];
    return panel("failing", "What fails", [soft("Counts attempts. A redriven execution is listed with its new status."), this.windows], wide("failing", heads, this.groups), this.groupsNote);
  }

  charts() {
    this.machine = h("select", { id: "durations-of", "aria-label": "State machine of the durations" });
    this.machine.addEventListener("change", () => this.readDurations());
    this.durations.element.querySelector("figcaption").append(this.machine);
    return h("div", { class: "charts" }, h("section", { class: "panel", "aria-label": "Executions per minute" }, this.minutes.element), h("section", { class: "panel", "aria-label": "Durations" }, this.durations.element));
  }

  table() {
    const heads = [["State machine", ""], ["Running", "right"], ["Overdue", "right"], ["Succeeded 24 h", "right"], ["Failed 24 h", "right"], ["p50", "right"], ["p95", "right"], ["p99", "right"], ["Confirmed until", ""], ["Repaired", "right"]];
    return panel("machines", "State machines", soft("Up to “confirmed until”, everything was compared with Step Functions. “Repaired” counts events that AWS lost and the audit replaced."), wide("machines", heads, this.machines));
  }

  start() {
    this.stopped = new AbortController();
    this.ticking = setInterval(() => this.age(), 1000);
    this.refreshing = setInterval(() => document.hidden || this.readDurations(), 60_000);
    this.read().then(() => this.follow());
  }

  follow() {
    if (this.stopped.signal.aborted) return;
    this.close = follow("v1/overview", {}, {
      onEvent: (name, data) => name === "overview" && this.take(JSON.parse(data)),
      onState: (state, error) => {
        this.state = state;
        if (error) this.refuse(error);
        this.age();
      },
    });
  }

  stop() {
    this.stopped.abort();
    this.close?.();
    clearInterval(this.ticking);
    clearInterval(this.refreshing);
  }

  // read fetches once: the first answer of a stream may have to wait for its turn.
  async read() {
    try {
      this.take(await get("v1/overview", {}, this.stopped.signal));
    } catch (error) {
      if (error.name !== "AbortError") this.refuse(error);
    }
  }

  refuse(error) {
    if (this.data) return;
    const why = error.status === 404 ? "This service has no overview. The list of executions still works." : error.message;
    this.notice.replaceChildren(h("p", { class: "notice" }, text(why)));
  }

  take(data) {
    this.data = data;
    this.readAt = Date.now();
    for (const { stateMachineArn } of data.machines ?? []) knowMachine(stateMachineArn);
    setService(data.service);
    if (this.window === "24h") this.showFailures(data.failures);
    else if (Date.now() - this.failuresAt > failuresEvery) this.showWindow(this.window);
    this.showNotice(data);
    this.showTiles(data);
    this.minutes.show(ended(data.perMinute ?? []).map(({ minute, succeeded, failed, started }) => ({ start: new Date(minute), values: [succeeded, failed, started] })));
    this.showMachines(data.machines ?? []);
    this.age();
  }

  showNotice({ machines, service }) {
    const empty = machines.length === 0 && service.status === "ok";
    if (this.noticed === empty) return;
    this.noticed = empty;
    this.notice.replaceChildren(...(empty ? [gettingStarted()] : []));
  }

  // showHeadline writes two sentences: the current state, and how reliable it is.
  showHeadline({ counts, overdue, failures, machines, service }) {
    const attempts = counts.SUCCEEDED + counts.FAILED;
    const { error, share, count: most } = failures.groups.toSorted((a, b) => b.count - a.count)[0] ?? {};
    const late = overdue > 0 ? ` ${plural(overdue, "execution")} ${overdue === 1 ? "runs" : "run"} longer than usual.` : "";
    const often = error ? `, ${most === failures.total ? "all" : `${percent(share)} of them`} with ${error}` : "";
    const failed = counts.FAILED > 0 ? `${count(counts.FAILED)} of ${plural(attempts, "attempt")} failed in the last 24 hours${often}.` : `No failure is known in the last 24 hours: ${count(counts.SUCCEEDED)} succeeded, ${count(counts.RUNNING)} running.`;
    const stale = this.state === "lost";
    const doubtful = late || stale || service.status !== "ok";
    say(this.happening, counts.FAILED > 0 ? "failed" : doubtful ? "warn" : "succeeded", (stale ? `As of ${when(new Date(this.readAt))}: ` : "") + failed + late);
    const until = confirmed(machines);
    if (stale) say(this.reliable, "warn", "What has happened since then is not known.");
    else if (service.status !== "ok") say(this.reliable, "warn", "What is shown may be out of date, because the service is degraded.");
    else if (!until) say(this.reliable, "warn", `Not compared with Step Functions yet: no audit has covered every state machine.`);
    else if (Date.now() - until > confirmedLately) say(this.reliable, "warn", `Compared with Step Functions only up to ${when(until)}, ${ago(until)}: lost events after that are not noticed.`);
    else say(this.reliable, "succeeded", `Compared with Step Functions up to ${when(until)}.`);
    this.happening.parentElement.hidden = attempts + counts.RUNNING === 0;
  }

  showTiles(data) {
    const { RUNNING: running = 0, SUCCEEDED: succeeded = 0, FAILED: failed = 0 } = data.counts ?? {};
    const until = confirmed(data.machines);
    const share = failed + succeeded > 0 ? failed / (failed + succeeded) : 0;
    const repairs = (data.machines ?? []).reduce((sum, machine) => sum + (machine.repairs ?? 0), 0);
    const age = data.eventAge;
    const tiles = [
      { key: "failed", label: "Failed, 24 h", value: count(failed), note: failed > 0 ? `${percent(share)} of ${plural(failed + succeeded, "attempt")}` : "none", href: toSearch("status:failed started:<24h"), tone: failed > 0 ? "bad" : "" },
      { key: "overdue", label: "Overdue now", value: count(data.overdue ?? 0), note: "running longer than usual", href: toSearch("overdue:true"), tone: data.overdue > 0 ? "late" : "" },
      { key: "running", label: "Running", value: count(running), note: "now", href: toSearch("status:running") },
      { key: "succeeded", label: "Succeeded, 24 h", value: count(succeeded), note: succeeded > 0 ? percent(1 - share) : "none", href: toSearch("status:succeeded started:<24h") },
      { key: "confirmed", label: "Confirmed until", value: until ? when(until) : "–", note: until ? `${ago(until)}, ${plural(repairs, "event")} repaired` : "no audit yet", href: "#/health" },
      { key: "age", label: "Delay of events", value: age ? duration(age.p50, 1) : "–", note: age ? `99 % within ${duration(age.p99, 1)}` : "not known", href: "#/health" },
    ];
    keyed(this.tiles, tiles, (tile) => tile.key,
      () => h("li", {}, h("a", { class: "tile" }, h("span", { class: "tile-label" }), h("strong", {}), h("span", { class: "tile-note" }))),
      (li, tile) => {
        const a = li.firstElementChild;
        a.setAttribute("href", tile.href);
        a.className = `tile ${tile.tone ?? ""}`;
        [tile.label, tile.value, tile.note].forEach((value, at) => set(a.children[at], value));
      });
  }

  async showWindow(window) {
    if (window !== this.window) {
      this.showFailures(null, "Loading …");
      this.windows.querySelector(`[value="${window}"]`).checked = true;
    }
    this.window = window;
    this.failuresAt = Date.now();
    if (window === "24h" && this.data) return this.showFailures(this.data.failures);
    try {
      const failures = await get("v1/failures", { window }, this.stopped.signal);
      if (this.window === window) this.showFailures(failures);
    } catch (error) {
      if (error.name !== "AbortError" && this.window === window) this.showFailures(null, error.message);
    }
  }

  // showFailures keeps the order of the groups while the pointer is on them. Without failures it
  // says why they are not known.
  showFailures(failures, why) {
    const groups = (failures?.groups ?? []).toSorted((a, b) => b.count - a.count);
    for (const group of groups) knowError(group.error);
    const key = (group) => `${group.stateMachineArn} ${group.error} ${group.message}`;
    let shown = groups;
    if (this.groups.matches(":hover, :focus-within")) {
      const order = [...(this.groups.keyedElements?.keys() ?? [])];
      const place = (group) => (order.indexOf(key(group)) + 1 || 1e9);
      shown = groups.toSorted((a, b) => place(a) - place(b));
    }
    keyed(this.groups, shown, key, () => groupRow(), (tr, group) => writeGroup(tr, group, failures, this.window));
    const rest = failures?.other > 0 ? `${plural(failures.other, "more failure")} in smaller groups` : "";
    set(this.groupsNote, why ?? (groups.length > 0 ? rest : `No failure is known in the last ${this.window.replace("h", " hours").replace("1 hours", "hour").replace("d", " days")}.`));
    this.groups.parentElement.toggleAttribute("hidden", groups.length === 0);
  }

  showMachines(machines) {
    if (machines.length === 0) this.durations.show([]);
    keyed(this.machines, machines, (machine) => machine.stateMachineArn, () => machineRow(), writeMachine);
    const names = machines.map((machine) => machine.stateMachineArn);
    if (this.machine.options.length === names.length && names.every((arn, at) => this.machine.options[at].value === arn)) return;
    const chosen = this.machine.value;
    this.machine.replaceChildren(...names.map((arn) => h("option", { value: arn }, machineNameOf(arn))));
    this.machine.value = names.includes(chosen) ? chosen : (names[0] ?? "");
    if (this.machine.value !== chosen) this.readDurations();
  }

  async readDurations() {
    const arn = this.machine.value;
    if (!arn) return;
    try {
      const { machines } = await get("v1/durations", { stateMachineArn: arn }, this.stopped.signal);
      const known = new Map((machines?.[0]?.hours ?? []).map((hour) => [Date.parse(hour.start), hour]));
      const last = Math.max(...known.keys(), Math.floor(Date.now() / 3600e3) * 3600e3);
      const day = known.size > 0 ? Array.from({ length: 24 }, (_, i) => last - (23 - i) * 3600e3) : [];
      const values = ({ count: n, p50, p95, p99 } = {}) => (n > 0 ? [p50, p95, p99] : [null, null, null]);
      this.durations.show(day.map((start) => ({ start: new Date(start), values: values(known.get(start)) })));
    } catch (error) {
      if (this.durations.points.length === 0) this.durations.say(error.message); // else the next time
    }
  }

  age() {
    setConnection(this.state);
    if (this.readAt === 0) return;
    this.showHeadline(this.data);
    set(this.asOf, `As of ${when(new Date(this.readAt))}`);
  }
}

// showStarted leads from a point of a chart to what started then.
function showStarted(start, span, search = "") {
  const [from, to] = [start, new Date(+start + span)].map((date) => date.toISOString().replace(":00.000", ""));
  go(toSearch(`${search} started:>${from} started:<${to}`.trim()));
}

// ended leaves out the minute that has only begun, which would look like a drop.
function ended(minutes) {
  const over = minutes.filter(({ minute }) => Date.parse(minute) + 60_000 <= Date.now());
  return over.some(({ started, succeeded, failed }) => started + succeeded + failed > 0) ? over : minutes;
}

// confirmed is the time up to which every state machine was compared with Step Functions; null
// if one was not.
function confirmed(machines) {
  const times = (machines ?? []).map((machine) => Date.parse(machine.confirmedUntil ?? ""));
  return times.length > 0 && !times.some(Number.isNaN) ? new Date(Math.min(...times)) : null;
}

function say(element, kind, sentence) {
  if (element.said === kind + sentence) return;
  element.said = kind + sentence;
  element.className = `say s-${kind}`;
  element.replaceChildren(icon(kind), h("span", {}, text(sentence)));
}

function groupRow() {
  return h("tr", {}, h("th", { scope: "row" }, h("a", {}, h("span", { class: "error-name" })), h("span", { class: "message" }), h("small", { class: "narrow soft" })), h("td", { class: "wide mono" }), h("td", { class: "right number" }), h("td", { class: "wide right number" }), h("td", {}), h("td", { class: "wide" }), h("td", { class: "wide" }));
}

function writeGroup(tr, group, failures, window) {
  const [head, machine, counted, share, trend, first, last] = tr.children;
  last.replaceChildren(time(group.lastSeen, (date) => ago(date)));
  const signature = JSON.stringify(group);
  if (tr.signature === signature) return;
  tr.signature = signature;
  const name = machineNameOf(group.stateMachineArn);
  const search = [write("machine", name), group.error ? write("error", group.error) : "status:failed", `started:<${window}`].join(" ");
  head.firstElementChild.setAttribute("href", toSearch(search));
  set(head.firstElementChild.firstElementChild, group.error || group.message || "No error name"); // an execution that times out has none
  const [, message, rest] = head.children;
  set(message, group.error ? group.message : "");
  set(rest, `${percent(group.share)}, first seen ${when(new Date(group.firstSeen))}, ${name}`);
  message.title = /#/.test(group.message) ? "# replaces the parts that differ between failures" : "";
  set(machine, name);
  set(counted, count(group.count));
  const bar = h("span", { class: "share" });
  bar.style.setProperty("--share", group.share);
  share.replaceChildren(bar, percent(group.share).padStart(5, "\u2007")); // as wide as 100 %, so that the bars are in line
  trend.replaceChildren(spark(group.trend ?? [], `Trend, oldest first: ${(group.trend ?? []).join(", ")}`));
  first.replaceChildren(time(group.firstSeen));
  tr.classList.toggle("new", failures.until && Date.parse(failures.until) - Date.parse(group.firstSeen) < 3600e3);
}

function machineRow() {
  const link = (kind) => h("td", { class: kind }, h("a", { class: "number" }));
  return h("tr", {}, h("th", { scope: "row" }, h("a", { class: "mono" })), link("right"), link("right"), link("right"), link("right"), h("td", { class: "right number" }), h("td", { class: "right number" }), h("td", { class: "right number" }), h("td", {}), h("td", { class: "right number" }));
}

function writeMachine(tr, machine) {
  const name = machineNameOf(machine.stateMachineArn);
  const { RUNNING: running = 0, SUCCEEDED: succeeded = 0, FAILED: failed = 0 } = machine.counts ?? {};
  const links = [[name, ""], [count(running), "status:running"], [count(machine.overdue ?? 0), "overdue:true"], [count(succeeded), "status:succeeded started:<24h"], [count(failed), "status:failed started:<24h"]];
  links.forEach(([label, search], at) => {
    const a = tr.children[at].firstElementChild;
    a.setAttribute("href", toSearch(`${write("machine", name)} ${search}`.trim()));
    set(a, label);
  });
  tr.children[2].classList.toggle("late", machine.overdue > 0);
  tr.children[4].classList.toggle("bad", failed > 0);
  ["p50", "p95", "p99"].forEach((quantile, at) => set(tr.children[5 + at], machine.count > 0 ? duration(machine[quantile]) : "–"));
  tr.children[8].replaceChildren(machine.confirmedUntil ? time(machine.confirmedUntil) : h("span", { class: "soft" }, "not yet"));
  set(tr.children[9], count(machine.repairs ?? 0));
}
