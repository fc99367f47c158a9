// How long a user waits for the first rows after a navigation, in a browser that has never
// been here. It reports figures and never fails: a busy machine is slower.
import { loadavg } from "node:os";
import { ask, browse, clean, key, open, server } from "./harness.mjs";

const rounds = 5;

export default async function () {
  await ask("applyMany", { names: Array.from({ length: 300 }, (_, i) => `run-${i}`), status: "RUNNING" });
  await ask("apply", { name: "fails", status: "FAILED", error: "E", message: "E: x" });
  for (const [what, view, rows] of [["list", "#/executions", "tbody tr[aria-rowindex]"], ["overview", "#/", ".tile strong"]]) {
    const all = [];
    for (let round = 0; round < rounds; round++) all.push(await arrive(view, rows));
    const [wait, cpu] = ["wait", "cpu"].map((name) => spread(all.map((each) => each[name])));
    console.log(`dashboard, first rows of the ${what} in a cold browser: ${wait}; processor time of the browser ${cpu}; load ${loadavg()[0].toFixed(1)}`);
  }
}

function spread(values) {
  values.sort((a, b) => a - b);
  return `median ${Math.round(values[rounds >> 1])} ms (${Math.round(values[0])} to ${Math.round(values.at(-1))})`;
}

// arrive opens a view in a new browser, and returns the milliseconds from the navigation to
// the frame that shows the first rows, and how long all processes of the browser have worked.
async function arrive(view, rows) {
  const browser = await browse();
  try {
    const page = await open(browser);
    await page.addInitScript(
      ({ token, selector }) => {
        sessionStorage.setItem("status-cache.token", token);
        const look = new MutationObserver(() => {
          if (!document.querySelector(selector)) return;
          look.disconnect();
          requestAnimationFrame(() => setTimeout(() => (globalThis.firstRows = performance.now())));
        });
        look.observe(document, { childList: true, subtree: true });
      },
      { token: key, selector: rows },
    );
    const session = await browser.newBrowserCDPSession();
    const worked = async () => (await session.send("SystemInfo.getProcessInfo")).processInfo.reduce((sum, each) => sum + each.cpuTime * 1000, 0);
    const before = await worked();
    await page.goto(`${server}/${view}`, { waitUntil: "commit" });
    await page.waitForFunction(() => globalThis.firstRows > 0);
    const cpu = (await worked()) - before;
    const wait = await page.evaluate(() => firstRows);
    clean(page);
    return { wait, cpu };
  } finally {
    await browser.close();
  }
}
