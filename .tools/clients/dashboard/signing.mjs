// A key that is kept for the tab survives a reload there, and is nowhere else. The theme is
// kept. Signing out leaves nothing behind.
import assert from "node:assert/strict";
import { ask, clean, eventually, key, open, row, server } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "one", status: "RUNNING" });
  const page = await open(browser, { reducedMotion: "reduce" });
  await page.goto(`${server}/#/executions`);
  let away = 1; // times that Redis does not answer: the key is tried again
  await page.route(/\/v1\/executions\?limit=1$/, (route) => (away-- > 0 ? route.fulfill({ status: 503, headers: { "Retry-After": "1" }, json: { error: { code: "ServiceUnavailable", message: "Redis is away" } } }) : route.continue()));
  await page.getByLabel("API key or access token").fill(key);
  for (let i = 0; i < 4; i++) await page.keyboard.press("Escape"); // a browser closes any dialog in the end
  await page.getByText("Keep it for this tab").click();
  await page.keyboard.press("Enter");
  await row(page, "one").waitFor();
  await page.reload();
  await row(page, "one").waitFor();
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes("csk_"), "a key is never in localStorage");
  assert.ok(!(await page.context().cookies()).length, "nor in a cookie");
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("tbody .icon")).animationName), "none", "who wants no motion sees none");

  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  await page.keyboard.press("t");
  await page.keyboard.press("t");
  assert.equal(await theme(), "dark");
  const paper = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.reload();
  await row(page, "one").waitFor();
  assert.equal(await theme(), "dark", "the theme is kept");
  await page.getByRole("button", { name: /Theme: dark/ }).click();
  assert.equal(await theme(), "system");
  assert.notEqual(await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor), paper);

  // Each key is named by what does the same with the mouse.
  const titles = await page.evaluate(() => [...document.querySelectorAll("[title]")].map((each) => each.title).join("\n"));
  for (const named of ["(/ or Ctrl-K)", "g o", "g e", "g h", "(t)", "(?)", "(p)", "(.)", "(y)"]) assert.ok(titles.includes(named), `${named} in ${titles}`);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("API key or access token").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  assert.equal(await row(page, "one").count(), 0, "nothing is left to see");

  // A link of make run in a tab that shows the page: signed in at once.
  await page.evaluate((token) => (location.hash = `#token=${token}`), key);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.locator("dialog").waitFor({ state: "detached" });
  await eventually("the key is gone from the address", async () => page.url() === `${server}/`);
  clean(page);
}
