// Somebody signs in with a key, sees an execution fail, opens it, copies its ARN, makes a
// link, and somebody else without a token opens the link.
import assert from "node:assert/strict";
import { arnOf, ask, chord, clean, eventually, key, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "first", status: "SUCCEEDED", output: '{"n":1}' });
  const page = await open(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await page.goto(`${server}/`);
  await page.getByLabel("API key or access token").fill("csk_live_00000000000000000000000000000000");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await page.getByText("not valid").waitFor();
  await page.getByLabel("API key or access token").fill(key);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(page.url(), `${server}/`, "the key is not in the address");
  assert.deepEqual(await stored(page), [], "the key is not stored");

  await page.getByRole("link", { name: "Executions" }).click();
  await row(page, "first").getByText("Succeeded").waitFor();
  await ask("apply", { name: "second", status: "RUNNING" });
  await page.getByRole("button", { name: "1 new" }).waitFor();
  assert.equal(await row(page, "second").count(), 0, "what is new waits");
  await page.keyboard.press(".");
  await row(page, "second").getByText("Running").waitFor();
  await ask("apply", { name: "second", status: "FAILED", error: "TierLimitExceeded", message: "TierLimitExceeded: used up" });
  await row(page, "second").getByText("TierLimitExceeded: used up").waitFor();

  // It is grouped on the overview, and the group leads on to what it counts.
  const group = page.getByRole("row").filter({ hasText: "TierLimitExceeded" });
  await chord(page, "g", "o", page.getByRole("heading", { name: "Overview" }));
  await group.getByText("used up").waitFor();
  assert.match(await group.innerText(), /Pipeline\s+1\s+100 %/, "its count and share");
  await group.getByRole("link").click();
  await row(page, "second").waitFor();
  assert.equal(await row(page, "first").count(), 0, "only what was counted");
  await page.keyboard.press("Escape");
  await row(page, "first").waitFor();

  await row(page, "second").getByRole("link").click();
  await page.getByRole("heading", { name: "second" }).waitFor();
  await page.getByText("TierLimitExceeded: used up").waitFor();
  await page.keyboard.press("y");
  await eventually("the ARN is copied", async () => (await page.evaluate(() => navigator.clipboard.readText())) === arnOf("second"));

  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByRole("button", { name: "Copy: A page for people" }).click();
  const link = await eventually("the link is copied", async () => {
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    return copied.includes("csl_") && copied;
  });
  assert.ok(!link.includes(key));
  await page.getByRole("button", { name: "Close" }).click();

  const reader = await open(browser);
  await reader.goto(link);
  await reader.getByRole("heading", { name: "second" }).waitFor();
  await reader.getByText("TierLimitExceeded: used up").waitFor();
  assert.ok(!reader.url().includes("csl_"), "the link is not left in the address");
  await reader.locator(".facts dt").filter({ hasText: "State machine" }).waitFor();
  const at = reader.url();
  assert.deepEqual(await reader.locator('main a[href^="#"]').count(), 0, "nothing leads to what a link does not show");
  await reader.keyboard.press("g");
  await reader.keyboard.press("e");
  assert.equal(reader.url(), at);

  await page.goBack();
  await row(page, "first").waitFor();
  await page.getByRole("link", { name: "Health" }).click();
  await page.getByRole("heading", { name: "Health" }).waitFor();
  await page.getByText("No part reports a problem").waitFor();
  clean(page);
  clean(reader);

  // The link of make run: signed in, and the key is gone from the address at once.
  const run = await open(browser);
  await run.goto(`${server}/#token=${key}`);
  await run.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(run.url(), `${server}/`);
  assert.deepEqual(await stored(run), []);
  clean(run);
}

// stored is what the page keeps that has to do with a key.
const stored = (page) => page.evaluate(() => [...Object.entries(localStorage), ...Object.entries(sessionStorage)].filter((entry) => /csk_|csl_/.test(entry.join())));
