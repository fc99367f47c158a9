import { badge, count, duration, h, icon, plural, set, text, time, when } from "./dom.js";
import { keeps, labels, machines, read, statuses, toggleStatus } from "./search.js";
import { mostRows, Rows } from "./rows.js";
import { Table } from "./table.js";
import { go, machineNameOf, toExecution, toSearch } from "./router.js";
import { gettingStarted, menu, ofList } from "./commands.js";
import * as search from "./search.js";
import { announce, copy, onPause, setConnection } from "./notify.js";

// last is what was shown when the user opened an execution, for the way back.
let last = null;

export function mount(main, view) {
  const page = new Executions(main);
  page.show(view);
  return { update: (next) => page.show(next), unmount: () => page.leave(), keys: page.keys() };
}

class Executions {
  constructor(main) {
    this.filters = h("div", { class: "filters", role: "group", "aria-label": "Filter by status" });
    this.news = h("button", { type: "button", class: "news", hidden: true, title: "Show new (.)", onclick: () => this.showNew() });
    this.note = h("span", { class: "soft note" });
    this.problem = h("div", {});
    this.table = new Table({ label: "Executions", columns: columns(), onEnd: () => this.rows?.loadMore() });
    this.table.element.addEventListener("click", (event) => this.click(event));
    const copyAs = menu("Copy as", () => ofList(this.query.parameters, this.rows.order));
    main.replaceChildren(h("div", { class: "page list-page" }, h("h1", { class: "unseen", tabindex: "-1" }, "Executions"), h("div", { class: "bar" }, this.filters, h("div", { class: "bar-end" }, this.news, this.note, copyAs)), this.problem, this.table.element));
    this.ticking = setInterval(() => document.hidden || this.rows.paused || this.rows.state === "lost" || this.table.render(true), 1000);
    onPause(() => this.pause());
  }

  show({ parameters }) {
    this.text = parameters.get("q") ?? "";
    search.show(this.text);
    this.query = read(this.text);
    this.rows?.stop();
    const query = this.query;
    if (last && last.text === this.text) {
      this.rows = last.rows;
      this.rows.changed = () => this.changed();
      this.table.show(this.rows.order);
      this.table.selected = last.selected;
      this.table.element.scrollTop = last.top;
      this.table.render(true);
      if (document.activeElement === document.body) this.table.select(last.selected);
      this.rows.resume();
    } else {
      this.rows = new Rows(query.parameters, (row) => keeps(query, row), () => this.changed());
      this.table.selected = -1;
      if (this.table.rows.length > 0) this.table.element.scrollTop = 0;
      this.table.show([]);
      this.rows.start();
    }
    last = null;
    this.announced = -1;
    this.changed();
  }

  leave() {
    clearInterval(this.ticking);
    this.rows.stop();
    this.rows.pause(false);
    last = { text: this.text, rows: this.rows, selected: this.table.selected, top: this.table.element.scrollTop };
    onPause(null);
  }

  changed() {
    const { rows } = this;
    until = rows.state === "lost" ? rows.readAt : null;
    this.writeFilters();
    this.table.show(rows.order);
    this.table.element.classList.toggle("no-labels", labels.size === 0);
    this.table.element.classList.toggle("one-machine", machines.size < 2);
    if (!rows.loading && rows.order.length === 0 && rows.news > 0 && !rows.paused) rows.showNew(); // there is nothing that could move
    this.news.hidden = rows.news === 0;
    set(this.news, `${count(rows.news)} new`);
    set(this.note, this.noteText());
    setConnection(rows.state, rows.paused);
    this.writeProblem();
    if (!rows.loading && this.announced !== rows.order.length) {
      if (!rows.error && (this.announced < 0 || rows.order.length === 0)) announce(plural(rows.order.length, "execution"));
      this.announced = rows.order.length;
    }
  }

  noteText() {
    const { rows } = this;
    if (rows.paused && rows.held.size > 0) return `${plural(rows.held.size, "change")} held`;
    if (rows.loading) return "Loading …";
    if (rows.state === "lost") return rows.readAt > 0 ? `as of ${when(new Date(rows.readAt))}` : "";
    if (rows.error || this.query.problems.length > 0) return "";
    if (rows.cursor === null) return plural(rows.order.length, "execution");
    return rows.order.length >= mostRows ? `the newest ${count(mostRows)}; narrow the search for others` : `the newest ${count(rows.order.length)}${this.total()}`;
  }

  // total is known where the counts by status say it.
  total() {
    const { counts } = this.rows;
    return counts && this.text === "" ? ` of ${count(counts.RUNNING + counts.SUCCEEDED + counts.FAILED)}` : "";
  }

  writeFilters() {
    const counts = /^(status:\S+( |$))*$/.test(this.text) && this.rows.counts; // they count nothing else
    const chosen = this.query.statuses;
    if (this.filters.childElementCount === 0) {
      for (const word of ["running", "succeeded", "failed"]) {
        const button = h("button", { type: "button", class: `filter s-${word}`, "data-status": word, onclick: () => go(toSearch(toggleStatus(this.text, word))) }, icon(word), h("span", {}, word), h("b", {}));
        this.filters.append(button);
      }
    }
    for (const button of this.filters.children) {
      const word = button.dataset.status;
      set(button.lastElementChild, counts ? count(counts[statuses[word].status] ?? 0) : "");
      button.setAttribute("aria-pressed", String(chosen.has(word)));
    }
  }

  writeProblem() {
    const { rows } = this;
    const problems = [...this.query.problems, rows.error?.message].filter(Boolean);
    const empty = !rows.loading && rows.order.length === 0 && rows.news === 0 && problems.length === 0 && rows.state !== "lost"; // else nothing is known
    const none = rows.counts && rows.counts.RUNNING + rows.counts.SUCCEEDED + rows.counts.FAILED === 0;
    const further = !rows.loading && rows.tired;
    const signature = JSON.stringify([problems, empty, none, further, this.text]);
    if (this.written === signature) return;
    this.written = signature;
    const shown = problems.map((problem) => h("p", { class: "notice warn", role: "alert" }, text(problem)));
    if (empty && none) shown.push(gettingStarted());
    else if (further) shown.push(h("p", { class: "notice" }, empty ? "None of the newest executions matches. " : "Few of the newest executions match. ", h("button", { type: "button", onclick: () => (document.querySelector("h1").focus(), rows.loadMore(true)) }, "Search older ones")));
    else if (empty) shown.push(h("p", { class: "notice" }, "No execution matches. A word is the beginning of a name, or the value of a label. ", h("a", { href: toSearch("") }, "Show all")));
    this.problem.replaceChildren(...shown);
    this.table.element.hidden = empty || (problems.length > 0 && rows.order.length === 0) || this.query.problems.length > 0;
  }

  click(event) {
    const tr = event.target.closest("tr");
    if (!tr?.row) return;
    const button = event.target.closest("button");
    if (button) return void copy(tr.row.arn, "ARN copied");
    this.table.selected = this.rows.order.indexOf(tr.row);
    if (event.target.closest("a") || !getSelection().isCollapsed) return;
    go(toExecution(tr.row.arn));
  }

  showNew() {
    this.rows.pause(false);
    this.rows.showNew();
    this.table.selected = -1;
    this.table.element.scrollTop = 0;
    this.table.show(this.rows.order);
    if (document.activeElement === this.news) this.table.element.focus();
  }

  pause() {
    this.rows.pause(!this.rows.paused);
    this.changed();
  }

  keys() {
    return [
      ["j", "Next row", () => this.table.move(1)],
      ["k", "Previous row", () => this.table.move(-1)],
      ["Enter", "Open the row", (event) => (event.target.closest("a, button, summary") || !this.table.current ? false : go(toExecution(this.table.current.arn)))],
      ["y", "Copy the ARN of the row", () => this.table.current && copy(this.table.current.arn, "ARN copied")],
      [".", "Show what is new", () => this.showNew()],
      ["p", "Pause or continue", () => this.pause()],
      ["Escape", "Clear the search", () => (this.text ? go(toSearch("")) : false)],
    ];
  }
}

function columns() {
  return [
    { name: "status", label: "Status", cell: writeStatus },
    { name: "name", label: "Name", cell: writeName },
    { name: "machine", label: "State machine", cell: (td, row) => write(td, machineNameOf(row.machine)) },
    { name: "labels", label: "Labels", cell: writeLabels },
    { name: "started", label: "Started", cell: writeStarted },
    { name: "took", label: "Took", cell: (td, row) => write(td, took(row)) },
    { name: "error", label: "Error", cell: (td, row) => write(td, row.message || row.error, true) },
    { name: "copy", label: h("span", { class: "unseen" }, "Copy"), content: h("button", { type: "button", class: "quiet icon", title: "Copy the ARN (y)", tabindex: "-1" }, icon("copy")), cell: writeCopy },
  ];
}

function write(td, string, tooltip = false) {
  if (td.written === string) return;
  td.written = string;
  td.replaceChildren(text(string));
  if (tooltip) td.title = string;
}

let until = null; // when the service was heard last, while it is not

function took(row) {
  return row.observed || row.stop ? duration(Math.max(0, (row.stop ?? until ?? Date.now()) - row.start) / 1000) : "–";
}

function writeStatus(td, row) {
  const more = [row.attempt > 1 && `attempt ${row.attempt}`, row.overdue && "overdue", !row.observed && "registered"].filter(Boolean).join(", ");
  const key = `${row.exactly} ${more}`;
  if (td.written === key) return;
  td.written = key;
  td.title = row.observed ? more : "Registered; no event has arrived yet";
  td.replaceChildren(badge(row.exactly, more));
}

function writeName(td, row) {
  if (td.written === row.arn) return;
  td.written = row.arn;
  td.replaceChildren(h("a", { href: toExecution(row.arn), title: row.arn }, text(row.name)));
}

function writeLabels(td, row) {
  const key = row.labels ? JSON.stringify(row.labels) : "";
  if (td.written === key) return;
  td.written = key;
  td.replaceChildren(...Object.entries(row.labels ?? {}).map(([name, value]) => h("span", { class: "label", title: `${name}=${value}` }, text(name), "=", text(value))));
}

function writeStarted(td, row) {
  const label = when(new Date(row.start));
  if (td.written === label) return;
  td.written = label;
  td.replaceChildren(time(row.startDate));
}

function writeCopy(td, row) {
  if (td.written) return;
  td.written = true;
  td.firstChild.setAttribute("aria-label", `Copy the ARN of ${row.name}`);
}
