// How long somebody waits for the first rows after a navigation, in a browser that has never
// been here. It reports, and judges nothing: a busy machine is slower.
import { ask, browse, clean, key, open, server } from "./harness.mjs";

const rounds = 5;

export default async function () {
  await ask("applyMany", { names: Array.from({ length: 300 }, (_, i) => `run-${i}`), status: "RUNNING" });
  await ask("apply", { name: "fails", status: "FAILED", error: "E", message: "E: x" });
  for (const [what, view, rows] of [["list", "#/executions", "tbody tr[aria-rowindex]"], ["overview", "#/", ".tile strong"]]) {
    const waits = [];
    for (let round = 0; round < rounds; round++) waits.push(await arrive(view, rows));
    waits.sort((a, b) => a - b);
    console.log(`dashboard, first rows of the ${what} in a cold browser: median ${waits[rounds >> 1]} ms, ${waits[0]} to ${waits.at(-1)} ms`);
  }
}

// arrive opens a view in a new browser, and returns the milliseconds from the navigation to
// the frame that shows the first rows.
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
    await page.goto(`${server}/${view}`);
    await page.waitForFunction(() => globalThis.firstRows > 0);
    const wait = await page.evaluate(() => Math.round(firstRows));
    clean(page);
    return wait;
  } finally {
    await browser.close();
  }
}
