// Redis does not answer: the page says what is wrong, what it showed stays and is marked as
// old, and it recovers by itself.
import assert from "node:assert/strict";
import { accessible, arnOf, ask, clean, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "one", status: "RUNNING" });
  const pages = [await open(browser), await open(browser), await open(browser), await open(browser)];
  const [overview, list, health, execution] = pages;
  for (const page of pages) await signIn(page);
  await list.goto(`${server}/#/executions`);
  await execution.goto(`${server}/#/executions/${encodeURIComponent(arnOf("one"))}`);
  await health.goto(`${server}/#/health`);
  const running = overview.locator('a.tile[href="#/executions?q=status%3Arunning"] strong').getByText("1", { exact: true });
  await running.waitFor();
  await row(list, "one").waitFor();
  for (const page of [overview, list, execution]) await page.getByRole("button", { name: "Live" }).waitFor();
  await health.getByText("All is well").waitFor();
  const none = overview.getByText("No failure is known in the last 24 hours.", { exact: true });
  await none.waitFor();

  await ask("freeze");
  // Every page says what is wrong, and since when it does not know better.
  for (const page of pages) await problems(page).getByText(/The service is degraded.*redis/).waitFor();
  await health.getByText("Degraded", { exact: true }).waitFor();
  await health.getByRole("listitem").filter({ hasText: /^redis: .*REDIS_URL/ }).waitFor();
  await health.getByRole("list", { name: "Parts" }).locator(".s-failed").getByText("Redis", { exact: true }).waitFor();
  await accessible(health, "a degraded service");
  await overview.locator(".stale .as-of").waitFor();
  await overview.getByText(/^As of \d.*: No failure is known/).waitFor();
  await overview.getByText("What has happened since then is not known.").waitFor();
  assert.ok(await none.isHidden(), "the page does not state what it does not know");
  assert.equal(await running.count(), 1, "what was shown stays");
  await list.getByText(/^as of/).waitFor();
  assert.equal(await row(list, "one").count(), 1);
  for (const page of [overview, list]) {
    await page.getByRole("button", { name: "Reconnecting" }).waitFor();
    await problems(page).getByText(/^Not live since (\d+ \w+, )?\d\d:\d\d:\d\d\. The service (answers 503: |was silent for|has closed)/).waitFor();
  }
  await accessible(overview, "an overview that is not live");

  await ask("thaw");
  await health.getByText("All is well").waitFor();
  for (const page of [overview, list, execution]) await page.getByRole("button", { name: "Live" }).waitFor();
  for (const page of pages) await problems(page).waitFor({ state: "hidden" });
  assert.equal(await overview.locator(".stale").count(), 0);
  await none.waitFor();
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  await row(list, "one").getByText("E: x").waitFor();
  await overview.locator("a.tile.bad strong").getByText("1", { exact: true }).waitFor();
  for (const page of pages) clean(page);
}

const problems = (page) => page.getByRole("complementary", { name: "Problems" });
