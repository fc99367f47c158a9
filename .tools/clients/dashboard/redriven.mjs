// An execution that has ended is redriven while its page is open: the page shows it. And an
// owner's page requests nothing that only operators may read.
import assert from "node:assert/strict";
import { arnOf, ask, clean, open, ownerKey, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "again", status: "SUCCEEDED", output: '{"attempt":"first"}' });
  const page = await open(browser);
  const refused = [];
  page.on("response", (response) => response.status() >= 400 && refused.push(`${response.status()} ${response.url()}`));
  await signIn(page);
  await page.goto(`${server}/#/executions/${encodeURIComponent(arnOf("again"))}`);
  const status = page.locator(".big-status");
  await status.getByText("Succeeded").waitFor();
  await page.getByRole("heading", { name: "Trail" }).waitFor();
  for (const fact of ["Known since", "Version", "Owner"]) await page.locator(".facts dt").filter({ hasText: fact }).waitFor();
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.locator(".tree").getByText("first").waitFor();

  await ask("apply", { name: "again", status: "RUNNING", attempt: 1 });
  await status.getByText("Running").waitFor();
  assert.equal(await page.locator(".tree").count(), 0, "the output of the first attempt is gone");
  await ask("apply", { name: "again", status: "SUCCEEDED", attempt: 1, output: '{"attempt":"second"}' });
  await status.getByText("Succeeded").waitFor();
  await page.getByText("2 (redriven once)").waitFor();
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.locator(".tree").getByText("second").waitFor();
  await page.getByText("Attempt 2 · Succeeded").waitFor();

  const owner = await open(browser);
  owner.on("response", (response) => response.status() >= 400 && refused.push(`${response.status()} ${response.url()}`));
  await signIn(owner, ownerKey);
  await owner.goto(`${server}/#/executions/${encodeURIComponent(arnOf("again"))}`);
  await owner.locator(".facts dt").filter({ hasText: "Version" }).waitFor();
  await owner.getByRole("button", { name: "Show", exact: true }).click();
  await owner.locator(".facts dt").filter({ hasText: "Known since" }).waitFor();
  assert.equal(await owner.getByRole("heading", { name: "Trail" }).count(), 0);
  assert.deepEqual(refused, []);

  await ask("apply", { name: "old", status: "SUCCEEDED", output: "1" });
  await ask("apply", { name: "old", status: "SUCCEEDED", expired: true });
  await page.goto(`${server}/#/executions/${encodeURIComponent(arnOf("old"))}`);
  await page.getByRole("heading", { name: "old" }).waitFor();
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("alert").filter({ hasText: "kept for a shorter time" }).waitFor();
  await page.getByText("aws stepfunctions describe-execution").waitFor();
  await page.getByRole("button", { name: "Fetch it again" }).waitFor();
  // A registered execution is shown before its first event, and marked as registered.
  await ask("register", { name: "waits" });
  await page.goto(`${server}/#/executions`);
  await row(page, "waits").getByText("registered").waitFor();
  await ask("apply", { name: "waits", status: "RUNNING" });
  await row(page, "waits").getByText("registered").waitFor({ state: "detached" });
  clean(page);
  clean(owner);
}
