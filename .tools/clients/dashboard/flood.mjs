// 200 changes a second, for a minute where THOROUGH is set, half of them new executions: no
// row moves under the pointer, and the page does not grow. Its longest task is reported and
// has no limit: a busy machine is slower.
import assert from "node:assert/strict";
import { ask, clean, eventually, open, rounds, row, server, signIn, watchFrames } from "./harness.mjs";

export default async function (browser) {
  await ask("applyMany", { names: Array.from({ length: 300 }, (_, i) => `run-${i}`), status: "RUNNING" });
  const page = await open(browser);
  await signIn(page);
  await page.goto(`${server}/#/executions`);
  await row(page, "run-299").waitFor();
  const target = page.locator("tbody tr[aria-rowindex]").nth(7);
  await target.hover();
  await page.evaluate(() => {
    // The row under the pointer is looked at before each frame.
    const { x, y } = document.querySelectorAll("tbody tr[aria-rowindex]")[7].getBoundingClientRect();
    const at = () => document.elementFromPoint(x + 200, y + 10)?.closest("tr")?.row.arn;
    const first = at();
    globalThis.moved = 0;
    const look = () => {
      if (at() !== first) moved++;
      requestAnimationFrame(look);
    };
    look();
  });
  await ask("flood", { count: rounds(300, 2000) }); // the first seconds, in which the page takes up its working size
  const before = await size(page);
  const figures = await watchFrames(page, () => ask("flood", { count: rounds(700, 12_000) }));
  await eventually("the last change is shown", async () => /^\d[\d,.]* new$/.test(await page.locator("button.news").innerText()));
  const after = await size(page);
  console.log(`dashboard under 200 changes a second: ${figures}, heap ${before.heap} → ${after.heap} kB, ${before.nodes} → ${after.nodes} elements`);
  assert.equal(await page.evaluate(() => moved), 0, "a row has moved under the pointer");
  assert.ok(after.nodes < before.nodes + 200, `${before.nodes} → ${after.nodes} elements`);
  assert.ok(after.heap < before.heap + 8000, `${before.heap} → ${after.heap} kB`);

  await page.keyboard.press(".");
  await eventually("the newest is shown", async () => (await page.locator("tbody tr[aria-rowindex='2'] td.c-name").innerText()).startsWith("new-"));
  clean(page);
}

// size is what the page takes after the garbage is collected.
async function size(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("HeapProfiler.collectGarbage");
  const { usedSize } = await session.send("Runtime.getHeapUsage");
  await session.detach();
  return { heap: Math.round(usedSize / 1000), nodes: await page.evaluate(() => document.querySelectorAll("*").length) };
}
