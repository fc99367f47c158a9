// A person scrolls through 2,000 rows: there are rows at every position, and only those that
// can be seen are elements. How smooth it was is reported and has no limit: a busy machine is
// slower.
import assert from "node:assert/strict";
import { ask, clean, eventually, open, rounds, row, server, signIn, watchFrames } from "./harness.mjs";

export default async function (browser) {
  await ask("applyMany", { names: Array.from({ length: 2100 }, (_, i) => `run-${i}`), status: "RUNNING" });
  const page = await open(browser);
  await signIn(page);
  await page.goto(`${server}/#/executions`);
  await row(page, "run-2099").waitFor();
  const scroller = page.locator(".scroller");
  await eventually("the newest 2,000 are loaded", async () => {
    await scroller.evaluate((element) => (element.scrollTop = element.scrollHeight));
    return (await page.locator("table.rows").getAttribute("aria-rowcount")) === "2001";
  });
  await page.getByText("the newest 2,000; narrow the search").waitFor();
  await scroller.evaluate((element) => (element.scrollTop = element.scrollHeight));
  await row(page, "run-100").waitFor();

  const figures = await watchFrames(page, () => scroller.evaluate(through, rounds(450, 150)));
  console.log(`dashboard, scrolling through 2,000 rows: ${figures}`);
  const { blank, most } = await scroller.evaluate(() => globalThis.seen);
  assert.equal(blank, 0, "frames without a row where the pointer is");
  assert.ok(most < 120, `${most} rows were elements at once`);
  clean(page);
}

// through scrolls from the top to the end, a step of some pixels in each frame.
async function through(element, step) {
  const seen = (globalThis.seen = { blank: 0, most: 0 });
  const { left, top, width, height } = element.getBoundingClientRect();
  for (let at = 0; at < element.scrollHeight - element.clientHeight; at += step) {
    element.scrollTop = at;
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    if (!document.elementFromPoint(left + width / 3, top + height / 2)?.closest("tr")?.row) seen.blank++;
    seen.most = Math.max(seen.most, element.querySelectorAll("tr[aria-rowindex]").length);
  }
}
