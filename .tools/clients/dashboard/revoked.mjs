// A key is revoked while its page is open: the page requires another one, and the view is
// still what it was.
import assert from "node:assert/strict";
import { ask, clean, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  await ask("apply", { name: "two", status: "SUCCEEDED", output: "1" });
  const { key } = await ask("key", { owner: "ops" });
  const page = await open(browser);
  await signIn(page, key);
  await page.goto(`${server}/#/executions?q=${encodeURIComponent("status:failed name:on")}`);
  await row(page, "one").waitFor();
  await ask("revoke", { name: key });
  await page.getByText("no longer valid").waitFor();
  assert.equal(await row(page, "one").count(), 1, "the view stays");

  const { key: another } = await ask("key", { owner: "ops" });
  await page.getByLabel("API key or access token").fill(another);
  await page.keyboard.press("Enter");
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Live" }).waitFor();
  assert.equal(await page.getByLabel("Search executions").inputValue(), "status:failed name:on");
  await ask("apply", { name: "one", status: "RUNNING", attempt: 1 });
  await row(page, "one").getByText("Running").waitFor();
  clean(page);
}
