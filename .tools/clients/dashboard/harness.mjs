// What the scenarios share: a browser, requests to the test that started this, and checks
// of every page: no violation of its policy, no error in its scripts, no request elsewhere.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

// Of the scenario that runs; others are in process.env.
export let server, key, ownerKey;
export const timeout = Number(process.env.TIMEOUT ?? 120_000); // ms; a busy machine must not reach it

// rounds returns how often a scenario repeats something: a few times, or many where THOROUGH is
// set, as it is for make test-stress and make bench-dashboard.
export const rounds = (few, many) => (process.env.THOROUGH ? many : few);

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// nextScenario returns the name of the scenario that the test wants next, undefined for none. What
// that one has to know is in process.env.
export async function nextScenario() {
  const { value, done } = await lines.next();
  if (done) return undefined;
  const { scenario, env } = JSON.parse(value);
  Object.assign(process.env, env);
  ({ SERVER: server, KEY: key, OWNER_KEY: ownerKey } = process.env);
  return scenario;
}

// ask has the test do something that a page cannot, and returns what it answers.
export async function ask(what, values = {}) {
  console.log(JSON.stringify({ ask: what, ...values }));
  const { value, done } = await lines.next();
  assert.ok(!done, `the test has gone before it answered ${what}`);
  return JSON.parse(value);
}

export const arnOf = (name) => `arn:aws:states:us-east-1:123456789012:execution:Pipeline:${name}`;

// options are those of every browser that is started here. A process of its own for drawing takes
// a fifth of the processor time of all scenarios.
export const options = ["--no-sandbox", "--disable-gpu", "--in-process-gpu", "--disable-dev-shm-usage", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export async function browse() {
  return chromium.launch({ executablePath: process.env.CHROMIUM, args: options });
}

// open opens a page that nobody is signed in to, and watches it.
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", timezoneId: "Europe/Berlin", ...options });
  context.setDefaultTimeout(timeout);
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("console", (message) => {
    if (/Content Security Policy|Trusted ?Type/i.test(message.text())) page.faults.push(message.text());
  });
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    const ours = [new URL(options.at ?? server).origin, ...(options.also ?? [])];
    const byUs = !request.isNavigationRequest() && ours[0] === new URL(request.frame().url()).origin;
    if (byUs && protocol.startsWith("http") && !ours.includes(origin)) page.faults.push(`a request to ${request.url()}`);
  });
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error(`Content Security Policy: ${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

// signIn opens the page and signs in by hand.
export async function signIn(page, token = key, at = `${server}/`) {
  await page.goto(at);
  await page.getByLabel("API key or access token").fill(token);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
}

export const row = (page, name) => page.getByRole("row").filter({ has: page.getByRole("link", { name, exact: true }) });

// chord presses two keys, one after the other, until something is found. The dashboard waits 1.5 s
// for the second key, which may be too short on a busy machine.
export const chord = (page, first, second, found) =>
  eventually(`${first} ${second} leads on`, async () => {
    await page.keyboard.press(first);
    await page.keyboard.press(second);
    return found.waitFor({ timeout: 5000 }).then(() => true, () => false);
  });

// eventually waits until a function in the test, not in the page, returns something true.
export async function eventually(what, met) {
  const limit = Date.now() + timeout;
  for (;;) {
    const found = await met();
    if (found) return found;
    assert.ok(Date.now() < limit, `not within ${timeout / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// watchFrames says how smooth a page was while something happened: its longest task, by the
// processor and by the clock, which a busy machine stretches, the processor time of its main
// thread for each frame, and the longest wait between two frames. It measures where THOROUGH is
// set: nothing is judged by the figures, and to trace a page takes as much as the page does.
export async function watchFrames(page, during) {
  if (!process.env.THOROUGH) {
    await during();
    return "not measured";
  }
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const busy = async () => (await session.send("Performance.getMetrics")).metrics.find(({ name }) => name === "TaskDuration").value * 1000;
  await page.evaluate(() => {
    const watch = (globalThis.watch = { longest: 0, frames: 0, wait: 0, stop: false });
    const tasks = new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (watch.longest = Math.max(watch.longest, duration))));
    tasks.observe({ type: "longtask" });
    let last = performance.now();
    const frame = (now) => {
      watch.frames++;
      watch.wait = Math.max(watch.wait, now - last);
      last = now;
      if (watch.stop) tasks.disconnect();
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const tasks = await trace(page);
  const before = await busy();
  await during();
  const spent = (await busy()) - before;
  const hardest = await tasks();
  const { longest, frames, wait } = await page.evaluate(() => Object.assign(watch, { stop: true }));
  await session.detach();
  const load = loadavg()[0].toFixed(1);
  return `longest task ${hardest.toFixed(1)} ms of processor time, by the clock ${longest > 0 ? `${Math.round(longest)} ms` : "below 50 ms"}, ${frames} frames with ${(spent / frames).toFixed(1)} ms of processor time each, at most ${Math.round(wait)} ms between two, load ${load}`;
}

// trace begins to record the tasks of the main threads of pages. It returns a function that ends
// this and returns the processor time of the longest task, in milliseconds.
async function trace(page) {
  const session = await page.context().browser().newBrowserCDPSession();
  const threads = new Set();
  const tasks = [];
  session.on("Tracing.dataCollected", ({ value }) => {
    for (const { name, pid, tid, args, tdur } of value) {
      if (name === "thread_name" && args.name === "CrRendererMain") threads.add(`${pid} ${tid}`);
      if (name === "ThreadControllerImpl::RunTask" && tdur > 1000) tasks.push([`${pid} ${tid}`, tdur / 1000]);
    }
  });
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: ["toplevel"], excludedCategories: ["*"] } });
  return async () => {
    const complete = new Promise((resolve) => session.on("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await complete;
    await session.detach();
    return Math.max(0, ...tasks.filter(([thread]) => threads.has(thread)).map(([, spent]) => spent));
  };
}

const everyRule = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const rulesOfColours = { type: "rule", values: ["color-contrast", "link-in-text-block"] };

// accessible checks the page with axe: with all rules in one theme, and with the rules about
// colours in the other.
export async function accessible(page, what) {
  for (const [colorScheme, rules] of [["light", everyRule], ["dark", rulesOfColours]]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(axe);
    const { violations } = await page.evaluate((runOnly) => axe.run(document, { runOnly, resultTypes: ["violations"] }), rules);
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join("; ")}`);
    assert.deepEqual(found, [], `${what}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

export const get = async (path, token = key) => {
  const response = await fetch(`${server}/${path}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(response.status, 200, path);
  return response.text();
};

// clean is the end of a scenario: nothing that the page must not do has happened.
export const clean = (page) => assert.deepEqual(page.faults, []);
