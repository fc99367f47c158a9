// The attempts of an execution on a time line, beside how long its state machine usually
// takes.
import { h } from "./dom.js";
import { duration, plural } from "./format.js";
import { wordOf } from "./status.js";

// attemptsOf finds the attempts in the trail, oldest first: [{n, start, end, status}].
// Without a trail there is one, of the whole time.
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

// verdict says how a duration compares with the quantiles of its state machine.
export function verdict(seconds, typical) {
  if (!typical || !(typical.count >= 5)) return "";
  const { p50, p95, p99, max } = typical;
  const between = (low, high, a, b) => Math.floor(a + ((b - a) * (seconds - low)) / Math.max(high - low, 1e-9));
  if (seconds > max) return `slower than each of the last ${plural(typical.count, "run")}`;
  if (seconds > p99) return "slower than 99 %";
  if (seconds > p95) return `slower than ${between(p95, p99, 95, 99)} %`;
  if (seconds > p50) return `slower than ${between(p50, p95, 50, 95)} %`;
  return "faster than half of the runs";
}

// timeline shows attempts and, as lines, the quantiles of the state machine.
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
