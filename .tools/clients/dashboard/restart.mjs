// The service restarts under an open page: the page says so, continues by itself, and shows
// what the API says.
import assert from "node:assert/strict";
import { ask, clean, eventually, get, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  const names = Array.from({ length: 250 }, (_, i) => `run-${i}`);
  await ask("applyMany", { names, status: "RUNNING" });
  const page = await open(browser);
  await signIn(page);
  await page.goto(`${server}/#/executions`);
  await row(page, "run-249").waitFor();
  const scroller = page.locator(".scroller");
  await eventually("all rows are loaded", async () => {
    await scroller.evaluate((element) => (element.scrollTop = element.scrollHeight));
    return (await page.locator("table.rows").getAttribute("aria-rowcount")) === "251";
  });
  await scroller.evaluate((element) => (element.scrollTop = 0));

  await ask("stop");
  await page.getByRole("button", { name: "Reconnecting" }).waitFor();
  // Old and new ones change while nobody listens, more than the feed begins with.
  await ask("applyMany", { names: names.slice(0, 200), status: "SUCCEEDED", output: "{}" });
  await ask("applyMany", { names: Array.from({ length: 150 }, (_, i) => `late-${i}`), status: "RUNNING" });
  // At first the service refuses to read, as often as the page tries again.
  let refused = 0;
  await page.route(/limit=100/, async (route) => {
    if (route.request().headers().accept !== "application/json" || refused >= 4) return route.continue();
    refused++;
    await route.fulfill({ status: 503, json: { success: false, error: { code: "UNAVAILABLE", message: "Redis does not answer now" } } });
  });
  await ask("start");
  await page.getByRole("button", { name: "Live" }).waitFor();
  await page.getByRole("button", { name: "150 new" }).click();

  const current = new Map();
  for (let cursor = ""; cursor !== null; ) {
    const { data } = JSON.parse(await get(`v1/executions?limit=100${cursor && `&cursor=${cursor}`}`));
    for (const { name, status } of data.executions) current.set(name, status[0] + status.slice(1).toLowerCase());
    cursor = data.nextCursor;
  }
  assert.equal(current.size, 400);
  await eventually("the page shows what the API says", async () => {
    const shown = await everyRow(page, scroller);
    return shown.size === current.size && [...current].every(([name, status]) => shown.get(name)?.startsWith(status)); // it may be overdue too
  });
  clean(page);
}

// everyRow reads the table from its top to its end.
async function everyRow(page, scroller) {
  const all = new Map();
  for (let top = 0; ; top += 500) {
    const height = await scroller.evaluate((element, to) => ((element.scrollTop = to), element.scrollHeight), top);
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const rows = await page.locator("table.rows tbody tr[aria-rowindex]").evaluateAll((each) => each.map((tr) => [tr.cells[1].textContent, tr.cells[0].textContent]));
    for (const [name, status] of rows) all.set(name, status);
    if (top > height) return all;
  }
}
