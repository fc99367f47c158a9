import { h } from "./dom.js";

const spare = 8; // rows above and below what is visible

export class Table {
  rows = [];
  first = 0;
  selected = -1;

  // The roles say what the elements are where a narrow window shows rows as cards.
  //
  // columns are {name, label, content, cell(td, row)}: a cell begins with a copy of its content.
  // onEnd is called near the end of the rows.
  constructor({ label, columns, onEnd }) {
    Object.assign(this, { columns, onEnd });
    this.template = h("tr", { role: "row" }, columns.map((column) => h("td", { role: "cell", class: `c-${column.name}` }, column.content)));
    [this.above, this.below] = [1, 2].map(() => h("tr", { class: "spacer", role: "presentation", "aria-hidden": "true", hidden: true }, h("td", {})));
    this.body = h("tbody", { role: "rowgroup" }, this.above, this.below);
    const heads = columns.map((column) => h("th", { scope: "col", role: "columnheader", class: `c-${column.name}` }, column.label));
    this.table = h("table", { class: "rows", role: "table", "aria-label": label }, h("thead", { role: "rowgroup" }, h("tr", { role: "row", "aria-rowindex": 1 }, heads)), this.body);
    this.element = h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": label }, this.table);
    this.visible = new Map(); // elements by key
    this.element.addEventListener("scroll", () => this.render(false), { passive: true });
    this.element.addEventListener("focusin", (event) => {
      const tr = event.target.closest("tr");
      if (tr?.row) this.selected = this.rows.indexOf(tr.row);
    });
    let resized = false; // the first report is no change
    new ResizeObserver(() => resized ? this.render(false) : (resized = true)).observe(this.element);
  }

  show(rows) {
    const selected = this.rows[this.selected];
    this.rows = rows;
    if (selected) this.selected = rows.indexOf(selected);
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.render(true);
  }

  get rowHeight() {
    return Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 32;
  }

  // range returns which rows to render; the first ones without waiting for a layout.
  range(height) {
    if (this.visible.size === 0) return [0, Math.ceil(innerHeight / height)];
    const head = this.table.tHead.offsetHeight;
    return [Math.max(0, Math.floor((this.element.scrollTop - head) / height) - spare), Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + spare];
  }

  render(rewrite) {
    if (this.rows.length + this.visible.size === 0) return void this.onEnd?.(); // nothing to measure for
    const height = this.rowHeight;
    const [from, end] = this.range(height);
    const to = Math.min(this.rows.length, end);
    const wanted = this.rows.slice(from, to);
    this.drop(new Set(wanted.map((row) => row.arn)));
    let next = this.above.nextElementSibling;
    wanted.forEach((row, at) => {
      const tr = this.element_(row, rewrite);
      const index = String(from + at + 2);
      if (tr.ariaRowIndex !== index) tr.ariaRowIndex = index;
      if (tr === next) next = next.nextElementSibling;
      else this.body.insertBefore(tr, next);
    });
    this.above.firstElementChild.style.height = `${from * height}px`;
    this.below.firstElementChild.style.height = `${(this.rows.length - to) * height}px`;
    this.above.hidden = from === 0;
    this.below.hidden = to === this.rows.length;
    if (to > this.rows.length - 2 * spare) this.onEnd?.();
  }

  element_(row, rewrite) {
    let tr = this.visible.get(row.arn);
    if (!tr) {
      tr = this.template.cloneNode(true);
      this.visible.set(row.arn, tr);
    } else if (!rewrite && tr.row === row) return tr;
    tr.row = row;
    tr.classList.toggle("gone", row.gone === true);
    this.columns.forEach((column, at) => column.cell(tr.cells[at], row));
    return tr;
  }

  // drop removes rows that are no longer visible. Where one had the focus, the table gets it.
  drop(keep) {
    for (const [key, tr] of this.visible) {
      if (keep.has(key)) continue;
      const focused = tr.contains(document.activeElement);
      const selected = this.selected;
      this.visible.delete(key);
      if (focused) this.element.focus({ preventScroll: true });
      tr.remove();
      this.selected = selected;
    }
  }

  get current() {
    return this.rows[this.selected] ?? null;
  }

  move(by) {
    if (this.rows.length === 0) return;
    const at = this.selected < 0 ? (by > 0 ? 0 : this.rows.length - 1) : this.selected + by;
    this.select(Math.max(0, Math.min(this.rows.length - 1, at)));
  }

  select(at) {
    const row = this.rows[at];
    if (!row) return;
    this.selected = at;
    const height = this.rowHeight;
    const head = this.table.tHead.offsetHeight;
    const top = at * height;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (top + height + head > this.element.scrollTop + this.element.clientHeight) {
      this.element.scrollTop = top + height + head - this.element.clientHeight;
    }
    this.render(false);
    this.visible.get(row.arn)?.querySelector("a")?.focus({ preventScroll: true });
  }
}
