import { follow, get, post } from "./api.js";
import { machineOf, nameOf } from "./router.js";
import { knowError, knowLabels, knowMachine } from "./search.js";

const page = 100; // rows of one request, the most the API gives
export const mostRows = 2000;
const emptyPages = 40; // that are fetched in a row where few rows match
const countEvery = 3000; // ms

// rowOf keeps what is shown of a summary, and no payload.
function rowOf(summary) {
  const arn = summary.executionArn;
  const row = {
    arn,
    name: summary.name ?? nameOf(arn),
    machine: summary.stateMachineArn ?? machineOf(arn),
    status: summary.status,
    exactly: summary.executionStatus ?? summary.status,
    start: Date.parse(summary.startDate),
    stop: summary.stopDate ? Date.parse(summary.stopDate) : null,
    startDate: summary.startDate,
    error: summary.error ?? "",
    message: (summary.errorMessage ?? "").slice(0, 300),
    labels: summary.labels ?? null,
    attempt: summary.attempt ?? 1,
    overdue: summary.overdue === true,
    observed: summary.observed !== false,
  };
  knowMachine(row.machine);
  knowError(row.error);
  knowLabels(row.labels);
  return row;
}

export class Rows {
  all = new Map(); // what is shown, by ARN
  order = []; // the same, newest first
  fresh = new Map(); // new and not shown yet
  missed = 0; // new ones that were too many to keep
  shown = 0; // rows when changed was called last
  held = null; // while paused: rows that have changed
  counts = null;
  cursor = null; // of the next page; null at the end
  state = "connecting"; // or live, lost, refused
  error = null;
  loading = true;
  tired = false; // further pages are read only when the user wants them
  readAt = 0; // when the service last answered

  // parameters are those of the API, keeps(row) filters what the API does not.
  constructor(parameters, keeps, changed) {
    Object.assign(this, { parameters, keeps, changed });
  }

  start() {
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    this.load().then(() => signal.aborted || this.open());
  }

  // open opens the feed, which begins with the newest rows. If more are shown, and after a
  // reconnect, changes before its "live" may have been missed.
  open(begins = new Set()) {
    this.counting = setInterval(() => this.count(), countEvery);
    this.close = follow("v1/executions", { ...this.parameters, limit: page }, {
      onEvent: (name, data) => {
        this.readAt = Date.now();
        if (name === "status") {
          const row = rowOf(JSON.parse(data));
          begins?.add(row.arn);
          this.take(row);
        } else if (name === "live") {
          if (!begins || !this.order.every((row) => begins.has(row.arn))) this.resync();
          begins = null;
        }
      },
      onState: (state, error) => {
        this.state = state;
        if (error) this.error = error;
        this.soon();
      },
    });
  }

  stop() {
    this.stopped?.abort();
    this.close?.();
    clearInterval(this.counting);
  }

  resume() {
    this.stopped = new AbortController();
    this.open(null);
  }

  async fetch(cursor) {
    const touched = (this.touched = new Map());
    const data = await get("v1/executions", { ...this.parameters, limit: page, cursor }, this.stopped.signal).finally(() => {
      if (this.touched === touched) this.touched = null;
    });
    this.counts = data.counts;
    this.readAt = Date.now();
    const rows = data.executions.map((summary) => touched.get(summary.executionArn) ?? rowOf(summary));
    return { rows, cursor: data.nextCursor, listed: data.executions };
  }

  async load() {
    this.loading = true;
    await this.guarded(() => this.more(true));
  }

  async guarded(work) {
    try {
      await work();
      this.error = null;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.error = error;
    }
    this.loading = false;
    this.soon();
  }

  async more(first = false) {
    if (!first && (this.cursor === null || this.order.length >= mostRows)) return;
    this.loading = true;
    let found = 0;
    for (let pages = 0; pages < emptyPages && found < page / 2; pages++) {
      const { rows, cursor } = await this.fetch(first && pages === 0 ? undefined : this.cursor);
      const kept = rows.filter((row) => this.keeps(row) && !this.fresh.has(row.arn));
      for (const row of kept) this.all.set(row.arn, row);
      this.sort();
      this.cursor = cursor;
      found += kept.length;
      this.soon();
      if (cursor === null) break;
    }
    this.tired = this.cursor !== null && found < page / 2;
    this.loading = false;
  }

  // loadMore stops where few rows match, until the user wants more.
  async loadMore(wanted = false) {
    if (this.loading || this.cursor === null || (this.tired && !wanted)) return;
    await this.guarded(() => this.more());
  }

  // resync reads again what is shown: the feed begins with the newest rows only.
  async resync() {
    this.loading = true;
    await this.guarded(async () => {
      const oldest = this.order.at(-1)?.start ?? Infinity;
      const seen = new Set();
      let cursor;
      do {
        const answer = await this.fetch(cursor);
        for (const row of answer.rows) this.take(row);
        for (const { executionArn } of answer.listed) seen.add(executionArn);
        cursor = answer.cursor;
        if (answer.listed.length === 0 || Date.parse(answer.listed.at(-1).startDate) < oldest) break;
      } while (cursor !== null && seen.size < mostRows + page);
      const unlisted = this.order.filter((row) => !seen.has(row.arn) && (cursor === null || row.start > oldest));
      await this.reread(unlisted);
      if (this.order.length === 0) this.showNew();
    });
  }

  // reread requests the state of rows that are no longer listed.
  async reread(rows) {
    for (const row of rows) row.gone = true;
    for (let from = 0; from < rows.length; from += page) {
      const { results } = await post("v1/status?view=status", { executionArns: rows.slice(from, from + page).map((row) => row.arn) });
      for (const { executionArn, status, stopDate } of results) {
        const row = this.all.get(executionArn);
        if (row && status) Object.assign(row, { status, exactly: status, stop: stopDate ? Date.parse(stopDate) : null, overdue: false });
      }
    }
  }

  take(row) {
    this.touched?.set(row.arn, row);
    const shown = this.all.get(row.arn);
    if (!this.held || !shown) this.place(row);
    else if (this.held.has(row.arn) || JSON.stringify({ ...shown, ...row }) !== JSON.stringify(shown)) this.held.set(row.arn, row);
    this.soon();
  }

  place(row) {
    const shown = this.all.get(row.arn);
    if (shown) {
      Object.assign(shown, row, { gone: !this.keeps(row) });
      return;
    }
    if (!this.keeps(row)) {
      this.fresh.delete(row.arn);
      return;
    }
    const waiting = this.fresh.get(row.arn);
    // What is older than the rows that are loaded comes with its page.
    const last = this.order.at(-1);
    if (!waiting && this.cursor !== null && last && row.start < last.start) return;
    this.fresh.set(row.arn, row);
    if (this.fresh.size > mostRows) {
      this.fresh.delete(this.fresh.keys().next().value);
      this.missed++;
    }
  }

  get news() {
    return this.fresh.size + this.missed;
  }

  showNew() {
    if (this.missed > 0) {
      this.restart();
      return;
    }
    for (const row of [...this.all.values()]) if (row.gone) this.all.delete(row.arn);
    for (const [arn, row] of [...this.fresh].reverse()) this.all.set(arn, row);
    this.fresh.clear();
    this.sort();
    this.soon();
  }

  restart() {
    this.fresh.clear();
    this.missed = 0;
    this.all.clear();
    this.order = [];
    this.load();
  }

  sort() {
    const sorted = [...this.all.values()].sort((a, b) => b.start - a.start || (a.arn < b.arn ? 1 : -1));
    this.order = sorted.slice(0, mostRows);
    for (const row of sorted.slice(mostRows)) this.all.delete(row.arn);
  }

  get paused() {
    return this.held !== null;
  }

  pause(on) {
    if (on === this.paused) return;
    const held = this.held;
    this.held = on ? new Map() : null;
    for (const row of held?.values() ?? []) this.place(row);
    this.soon();
  }

  // count asks how many there are by status. The feed does not say it.
  async count() {
    if (document.hidden || this.paused || this.state !== "live" || this.stopped.signal.aborted) return;
    try {
      this.counts = (await get("v1/executions", { limit: 1, owner: this.parameters.owner }, this.stopped.signal)).counts;
      this.readAt = Date.now();
      this.soon();
      if (this.error && !this.loading) this.order.length > 0 ? this.resync() : this.load();
    } catch {
      // the next time
    }
  }

  // soon calls changed once for many changes, and at once for the first rows.
  soon() {
    if (this.scheduled || this.stopped?.signal.aborted) return;
    this.scheduled = true;
    const later = this.shown > 0 ? (f) => setTimeout(f, 150) : queueMicrotask;
    later(() => {
      this.scheduled = false;
      this.shown = this.order.length;
      if (!this.stopped.signal.aborted) this.changed();
    });
  }
}
