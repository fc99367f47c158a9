import { duration, h, hourMinute, plural, s, wordOf } from "./dom.js";

const height = 148; // in units of which 14 are an em
const margin = { top: 8, right: 8, bottom: 20, left: 44 };

export function spark(values, label) {
  const width = 96, tall = 22, most = Math.max(1, ...values);
  const step = width / Math.max(1, values.length);
  const bars = values.map((value, at) => {
    const size = value === 0 ? 0 : Math.max(1.5, (value / most) * tall);
    return s("rect", { x: at * step, y: tall - size, width: Math.max(1, step - 1), height: size, rx: 0.8 });
  });
  const base = s("line", { x1: 0, x2: width, y1: tall + 0.5, y2: tall + 0.5 });
  return s("svg", { class: "spark", viewBox: `0 0 ${width} ${tall + 1}`, role: "img", "aria-label": label }, base, bars);
}

// Chart shows series over time: {title, series: [{name, class}], format, log, bars, unit, every,
// choose}. A time is marked if its unit is a multiple of one of every. Pointer and
// arrow keys mark a point; a click and Enter choose it.
export class Chart {
  constructor(options) {
    this.options = options;
    this.points = [];
    this.at = -1;
    this.svg = s("svg", { class: "chart", role: "img", tabindex: "0", "aria-label": options.title });
    this.legend = h("ul", { class: "legend" });
    this.moment = h("span", { class: "soft" });
    this.empty = h("p", { class: "empty soft" }, "Loading …");
    this.element = h("figure", { class: "figure" }, h("figcaption", {}, h("h3", {}, options.title), this.moment), this.legend, this.svg, this.empty);
    // The rows beside a chart are shown before it is drawn.
    new ResizeObserver(() => setTimeout(() => {
      this.laidOut = true;
      this.draw();
    })).observe(this.element);
    this.svg.addEventListener("pointermove", (event) => this.point(this.indexOf(event.offsetX / this.unit)));
    this.svg.addEventListener("pointerleave", () => this.point(-1));
    this.svg.addEventListener("blur", () => this.point(-1));
    const choose = () => this.at >= 0 && options.choose(this.points[this.at].start);
    this.svg.addEventListener("click", choose);
    this.svg.addEventListener("keydown", (event) => {
      if (event.key === "Enter") choose();
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      const last = this.points.length - 1;
      this.point(this.at < 0 ? last : Math.max(0, Math.min(last, this.at + by)));
    });
  }

  // show shows points {start, values}; a value that is null is not known.
  show(points) {
    this.points = points;
    if (this.at >= points.length) this.at = -1;
    const shown = points.some((point) => point.values.some((value) => value > 0));
    this.say(shown ? "" : this.options.empty);
    this.svg.toggleAttribute("hidden", !shown);
    if (this.laidOut) this.draw();
    else this.write();
  }

  say(why) {
    this.empty.textContent = why;
  }

  draw() {
    this.unit = Number.parseFloat(getComputedStyle(this.element).fontSize) / 14;
    const width = this.element.clientWidth / this.unit;
    if (!(width > 0) || this.points.length === 0) return this.write();
    this.width = width;
    const values = this.points.flatMap((point) => point.values).filter((value) => value > 0);
    this.scale = scaleOf(values, this.options.log);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(...this.grid(), ...this.times(), ...(this.options.bars ? this.columns() : this.lines()), this.cursor());
    this.write();
  }

  x(at) {
    const inner = this.width - margin.left - margin.right;
    const step = inner / this.points.length;
    return margin.left + step * (at + 0.5);
  }

  y(value) {
    const inner = height - margin.top - margin.bottom;
    return margin.top + inner * (1 - this.scale.place(value));
  }

  indexOf(x) {
    const inner = this.width - margin.left - margin.right;
    const at = Math.floor(((x - margin.left) / inner) * this.points.length);
    return at < 0 || at >= this.points.length ? -1 : at;
  }

  grid() {
    return this.scale.ticks.flatMap((tick) => [
      s("line", { class: "grid", x1: margin.left, x2: this.width - margin.right, y1: this.y(tick), y2: this.y(tick) }),
      s("text", { class: "tick", x: margin.left - 6, y: this.y(tick) + 3.5, "text-anchor": "end" }, this.options.format(tick)),
    ]);
  }

  times() {
    const every = this.options.every.find((n) => (n / this.points.length) * this.width > 60);
    return this.points
      .map(({ start }, at) => start[this.options.unit]() % every === 0 && this.x(at) < this.width - 14 && s("text", { class: "tick", x: this.x(at), y: height - 5, "text-anchor": "middle" }, hourMinute(start)))
      .filter(Boolean);
  }

  columns() {
    const wide = Math.max(1, ((this.width - margin.left - margin.right) / this.points.length) * 0.72);
    return this.points.flatMap((point, at) => {
      let below = 0;
      return point.values.map((value, i) => {
        if (this.options.series[i].line) return null;
        const y = this.y(below + value), size = this.y(below) - y;
        below += value;
        return value > 0 && s("rect", { class: this.options.series[i].class, x: this.x(at) - wide / 2, y, width: wide, height: Math.max(1, size), rx: 1 });
      });
    }).filter(Boolean).concat(this.lines((series) => series.line));
  }

  lines(which = () => true) {
    return this.options.series.flatMap((series, i) => {
      if (!which(series)) return [];
      const runs = [[]];
      this.points.forEach((point, at) => {
        const value = point.values[i];
        if (value === null || value === undefined) runs.push([]);
        else runs.at(-1).push(`${this.x(at).toFixed(1)},${this.y(value).toFixed(1)}`);
      });
      return runs.filter((run) => run.length > 0).map((run) =>
        run.length === 1
          ? s("circle", { class: `${series.class} dot`, cx: run[0].split(",")[0], cy: run[0].split(",")[1], r: 2.5 })
          : s("polyline", { class: `${series.class} line`, points: run.join(" ") }),
      );
    });
  }

  cursor() {
    this.mark = s("line", { class: "cursor", y1: margin.top, y2: height - margin.bottom, visibility: "hidden" });
    return this.mark;
  }

  point(at) {
    this.at = at;
    this.write();
  }

  write() {
    const at = this.at < 0 ? this.points.length - 1 : this.at;
    const point = this.points[at];
    const value = (i) => (point && point.values[i] !== null && point.values[i] !== undefined ? this.options.format(point.values[i]) : "–");
    const items = this.options.series.map((series, i) => h("li", {}, h("i", { class: `swatch ${series.class} ${series.line || !this.options.bars ? "of-line" : ""}` }), `${series.name} `, h("b", {}, value(i))));
    this.legend.replaceChildren(...items);
    this.moment.textContent = point ? hourMinute(point.start) : "";
    const words = this.options.series.map((series, i) => `${series.name} ${value(i)}`).join(", ");
    this.svg.setAttribute("aria-label", `${this.options.title}, ${this.moment.textContent}: ${words}`);
    if (!this.mark) return;
    this.mark.setAttribute("visibility", this.at < 0 ? "hidden" : "visible");
    if (this.at >= 0) for (const name of ["x1", "x2"]) this.mark.setAttribute(name, this.x(this.at));
  }
}

// scaleOf returns where values are placed between 0 and 1, and round values to mark.
function scaleOf(values, log) {
  const most = Math.max(...values, 0);
  if (!log) {
    const step = roundUp(Math.max(most, 1) / 3);
    const top = Math.max(step, Math.ceil(most / step) * step);
    return { place: (value) => value / top, ticks: Array.from({ length: Math.round(top / step) + 1 }, (_, i) => i * step) };
  }
  const from = Math.max(0, marks.findLastIndex((mark) => mark <= Math.min(...values)));
  const to = Math.max(from + 1, marks.findIndex((mark) => mark >= most));
  const low = Math.log10(marks[from]);
  const place = (value) => Math.max(0, Math.log10(value) - low) / (Math.log10(marks[to]) - low);
  return { place, ticks: marks.slice(from, to + 1).filter((_, at, { length }) => at % Math.ceil(length / 5) === 0) };
}

const marks = [1e-3, 1e-2, 0.1, 1, 10, 60, 600, 3600, 36_000, 86_400, 864_000, 31_536_000]; // seconds

function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((n) => n >= value * (1 - 1e-9)) ?? 1);
}

// attemptsOf finds the attempts in the trail, oldest first. Without a trail there is one.
export function attemptsOf(state, trail, now) {
  const start = Date.parse(state.startDate);
  const end = state.stopDate ? Date.parse(state.stopDate) : null;
  const last = state.attempt ?? 1;
  const all = new Map();
  for (const seen of trail ?? []) {
    const n = seen.attempt ?? 1;
    const at = Date.parse(seen.emittedAt ?? seen.seenAt);
    const attempt = all.get(n) ?? { n, start: at, end: null, status: "RUNNING" };
    attempt.start = Math.min(attempt.start, at);
    if (!["RUNNING", "PENDING_REDRIVE"].includes(seen.status)) Object.assign(attempt, { end: at, status: seen.status });
    all.set(n, attempt);
  }
  if (!all.has(last)) all.set(last, { n: last, start, end: null, status: "RUNNING" });
  const attempts = [...all.values()].sort((a, b) => a.n - b.n);
  attempts[0].start = start;
  Object.assign(attempts.at(-1), { end, status: state.executionStatus ?? state.status });
  attempts.forEach((attempt, i) => (attempt.end ??= attempts[i + 1]?.start ?? now));
  return attempts;
}

// verdict compares a duration with those of its state machine. A running one is not fast yet.
export function verdict(seconds, typical, grows) {
  if (!typical || !(typical.count >= 5)) return "";
  const { p50, p95, p99, max } = typical;
  const between = (low, high, a, b) => Math.floor(a + ((b - a) * (seconds - low)) / Math.max(high - low, 1e-9));
  if (seconds > max) return `slower than each of the last ${plural(typical.count, "run")}`;
  if (seconds > p99) return "slower than 99 %";
  if (seconds > p95) return `slower than ${between(p95, p99, 95, 99)} %`;
  if (seconds > p50) return `slower than ${between(p50, p95, 50, 95)} %`;
  return grows ? "" : "faster than half of the runs";
}

export function timeline(attempts, typical) {
  const from = attempts[0].start;
  const to = attempts.at(-1).end;
  const marks = typical?.count > 0 ? [["p50", typical.p50], ["p95", typical.p95]] : [];
  const span = Math.max((to - from) / 1000, ...marks.map(([, at]) => at), 0.1) * 1.06;
  const percent = (seconds) => `${Math.min(100, (100 * seconds) / span)}%`;
  const bars = attempts.map((attempt) => {
    const seconds = Math.max(0, attempt.end - attempt.start) / 1000;
    const bar = h("div", { class: `bar s-${attempt.status.toLowerCase()}` });
    bar.style.left = percent((attempt.start - from) / 1000);
    bar.style.width = percent(seconds);
    const label = attempts.length > 1 && h("span", { class: "bar-label" }, `Attempt ${attempt.n} · ${wordOf(attempt.status)} · ${duration(seconds)}`);
    return h("div", { class: "lane" }, label, h("div", { class: "track" }, bar));
  });
  const lines = marks.map(([name, at]) => {
    const line = h("div", { class: at > span / 2 ? `mark m-${name} late` : `mark m-${name}` }, h("span", {}, `${name} ${duration(at)}`));
    line.style.left = percent(at);
    return line;
  });
  const words = attempts.map((each) => `attempt ${each.n}: ${wordOf(each.status)}, ${duration((each.end - each.start) / 1000)}`).join("; ");
  const typically = marks.map(([name, at]) => `${name} ${duration(at)}`).join(", ");
  return h("div", { class: marks.length > 0 ? "timeline marked" : "timeline", role: "img", "aria-label": [words, typically].filter(Boolean).join("; usually ") }, h("div", { class: "marks" }, lines), bars);
}
