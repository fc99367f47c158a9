// How long a user waits for the first rows after a navigation, in a browser that has never
// been here, beside the same browser with a page that is nothing but one row: what this machine
// needs for any page at all. It reports figures and never fails: a busy machine is slower.
//
// The browser is driven without a library. One that watches each request and frame of a page
// takes more of the processor than the page itself. Its own address bar is switched off: after
// its start a browser loads the suggestions of that in the background, some 500 ms of the
// processor, which a page with one row does not meet and any longer one does.
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { ask, key, options, server } from "./harness.mjs";

const arrivals = 5;
const addressBar = "--disable-features=WebUIOmniboxPopup,WebUIOmniboxFullPopup,WebUIOmniboxAimPopup,AimServerEligibility,PreloadTopChromeWebUI";
const oneRow = '<!doctype html><html lang="en"><title>One row</title><table><tbody><tr><td>row</td></tr></tbody></table>';

export default async function () {
  await ask("applyMany", { names: Array.from({ length: 300 }, (_, i) => `run-${i}`), status: "RUNNING" });
  await ask("apply", { name: "fails", status: "FAILED", error: "E", message: "E: x" });
  const bare = createServer((_, response) => response.setHeader("Content-Type", "text/html").end(oneRow)).listen(0, "127.0.0.1");
  await new Promise((resolve) => bare.once("listening", resolve));
  const pages = { "a page with one row only": [`http://127.0.0.1:${bare.address().port}/`, "tbody tr"], list: [`${server}/#/executions`, "tbody tr[aria-rowindex]"], overview: [`${server}/#/`, ".tile strong"] };
  const all = Object.keys(pages).map((what) => [what, []]);
  for (let round = 0; round < arrivals; round++) {
    for (const [what, each] of all) each.push(await arrive(...pages[what]));
  }
  for (const [what, each] of all) {
    const [wait, cpu] = ["wait", "cpu"].map((name) => spread(each.map((one) => one[name])));
    console.log(`dashboard, first rows in a cold browser, ${what}: ${wait}; processor time of the browser ${cpu}; load ${loadavg()[0].toFixed(1)}`);
  }
  bare.close();
}

function spread(values) {
  values.sort((a, b) => a - b);
  return `median ${Math.round(values[arrivals >> 1])} ms (${Math.round(values[0])} to ${Math.round(values.at(-1))})`;
}

// arrive opens a page in a new browser, and returns the milliseconds from the navigation to the
// frame that shows the first rows, and how long all processes of the browser have worked.
async function arrive(url, rows) {
  const browser = await start();
  try {
    const { targetInfos } = await browser.send("Target.getTargets");
    const { sessionId } = await browser.send("Target.attachToTarget", { targetId: targetInfos.find(({ type }) => type === "page").targetId, flatten: true });
    await browser.send("Page.enable", {}, sessionId);
    await browser.send("Runtime.enable", {}, sessionId); // what the page says is passed on
    await browser.send("Page.addScriptToEvaluateOnNewDocument", { source: `(${watch})(${JSON.stringify(key)}, ${JSON.stringify(rows)})` }, sessionId);
    const worked = async () => (await browser.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, each) => sum + each.cpuTime * 1000, 0);
    const before = await worked();
    const shown = browser.said("first rows");
    await browser.send("Page.navigate", { url }, sessionId);
    const wait = await shown;
    return { wait, cpu: (await worked()) - before };
  } finally {
    await browser.end();
  }
}

// watch runs in the page before anything else.
function watch(token, rows) {
  if (location.protocol !== "http:") return;
  sessionStorage.setItem("status-cache.token", token);
  const look = new MutationObserver(() => {
    if (!document.querySelector(rows)) return;
    look.disconnect();
    requestAnimationFrame(() => setTimeout(() => console.log("first rows", performance.now())));
  });
  look.observe(document, { childList: true, subtree: true });
}

// start starts a browser with an empty profile. send sends it a command of its protocol, and
// said waits until a page has written something to its console, and returns what.
async function start() {
  const profile = await mkdtemp(join(tmpdir(), "arrival-"));
  const browser = spawn(process.env.CHROMIUM, [...options, addressBar, "--headless", "--no-first-run", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "--window-size=1280,800", "about:blank"], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
  const ended = new Promise((resolve) => browser.once("exit", resolve));
  const [into, out] = browser.stdio.slice(3);
  const waiting = new Map(); // by the number of a command, or by what a page says
  let sent = 0;
  let rest = "";
  out.setEncoding("utf8").on("data", (text) => {
    const messages = (rest + text).split("\0");
    rest = messages.pop();
    for (const message of messages) take(JSON.parse(message));
  });
  const take = ({ id, result, error, method, params }) => {
    if (error) throw new Error(error.message);
    if (id) waiting.get(id)(result);
    else if (method === "Runtime.consoleAPICalled") waiting.get(params.args[0].value)?.(params.args[1].value);
  };
  return {
    send: (method, params = {}, sessionId = undefined) =>
      new Promise((resolve) => {
        waiting.set(++sent, resolve);
        into.write(`${JSON.stringify({ id: sent, method, params, sessionId })}\0`);
      }),
    said: (what) => new Promise((resolve) => waiting.set(what, resolve)),
    end: async () => {
      browser.kill();
      await ended;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
