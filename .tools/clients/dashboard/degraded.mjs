// Redis does not answer: the page says what is wrong, what it showed stays and is marked as
// old, and it recovers by itself.
import assert from "node:assert/strict";
import { accessible, ask, clean, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "one", status: "RUNNING" });
  const [overview, list, health] = [await open(browser), await open(browser), await open(browser)];
  for (const page of [overview, list, health]) await signIn(page);
  await list.goto(`${server}/#/executions`);
  await health.goto(`${server}/#/health`);
  const running = overview.locator('a.tile[href="#/executions?q=status%3Arunning"] strong').getByText("1", { exact: true });
  await running.waitFor();
  await row(list, "one").waitFor();
  for (const page of [overview, list]) await page.getByRole("button", { name: "Live" }).waitFor();
  await health.getByText("All is well").waitFor();

  await ask("freeze");
  await health.getByText("Degraded", { exact: true }).waitFor();
  await health.getByRole("listitem").filter({ hasText: /^redis: .*REDIS_URL/ }).waitFor();
  await health.getByRole("list", { name: "Parts" }).locator(".s-failed").getByText("Redis", { exact: true }).waitFor();
  await accessible(health, "a degraded service");
  await overview.getByText(/^Stale: as of/).waitFor();
  assert.equal(await running.count(), 1, "what was shown stays");
  await list.getByText(/^as of/).waitFor();
  assert.equal(await row(list, "one").count(), 1);
  for (const page of [overview, list]) await page.getByRole("button", { name: "Reconnecting" }).waitFor();

  await ask("thaw");
  await health.getByText("All is well").waitFor();
  for (const page of [overview, list]) await page.getByRole("button", { name: "Live" }).waitFor();
  assert.equal(await overview.locator(".stale").count(), 0);
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  await row(list, "one").getByText("E: x").waitFor();
  await overview.locator("a.tile.bad strong").getByText("1", { exact: true }).waitFor();
  for (const page of [overview, list, health]) clean(page);
}
