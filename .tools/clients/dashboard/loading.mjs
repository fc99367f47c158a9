// A part of the page that cannot be loaded: the page says so and offers to load it again, and
// that leads to what was wanted.
import assert from "node:assert/strict";
import { accessible, arnOf, ask, clean, eventually, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  for (const [module, view, title, found] of [
    ["executions", "#/executions", "Executions", (page) => row(page, "one")],
    ["chart", "#/", "Overview", (page) => page.getByRole("heading", { name: "Overview" })],
    ["execution", `#/executions/${encodeURIComponent(arnOf("one"))}`, "one", (page) => page.getByRole("heading", { name: "one" })],
    ["health", "#/health", "Health", (page) => page.getByRole("heading", { name: "Health" })],
  ]) {
    const page = await open(browser);
    const file = new RegExp(`/dashboard/\\w+/${module}\\.js$`);
    await page.route(file, (route) => route.abort());
    await page.goto(`${server}/#token=${process.env.KEY}&keep=tab`);
    if (module === "chart") await page.reload(); // the view that it belongs to is the first one
    else await page.evaluate((to) => (location.hash = to), view);
    const alert = page.getByRole("alert").filter({ hasText: "could not be loaded" });
    await alert.waitFor();
    await page.locator("#connection").waitFor({ state: "hidden" }); // nothing is said to be live
    await eventually(`the title is that of ${view}`, async () => (await page.title()) === `${title} · Status cache`);
    if (module === "health") await accessible(page, "a part that cannot be loaded");
    await page.unroute(file);
    await alert.getByRole("button", { name: "Load it again" }).click();
    await found(page).waitFor();
    await alert.waitFor({ state: "detached" });
    assert.ok(page.url().endsWith(view === "#/" ? "/" : view), page.url());
    clean(page);
    await page.context().close();
  }
  await dialog(browser);
  await leftBeforeItsData(browser);
}

// A user who is not signed in needs the dialog, which is loaded on demand too.
async function dialog(browser) {
  const page = await open(browser);
  const file = /\/signin\.js$/;
  await page.route(file, (route) => route.abort());
  await page.goto(`${server}/#/executions`);
  await page.getByText("could not be loaded").waitFor();
  await page.unroute(file);
  await page.getByRole("button", { name: "Load it again" }).click();
  await page.getByLabel("API key or access token").waitFor();
  await signIn(page, undefined, `${server}/#/executions`);
  await row(page, "one").waitFor();
  clean(page);
}

// A user who leaves the overview before its first data has arrived: it is requested ahead of the
// view, so nothing aborts it, and what arrives must not change the page that the user sees now.
async function leftBeforeItsData(browser) {
  const page = await open(browser);
  await page.addInitScript(() => {
    const { json } = Response.prototype;
    Response.prototype.json = function () {
      const data = json.call(this);
      if (this.url.endsWith("/v1/overview")) window.parsed ??= data;
      return data;
    };
  });
  let letItArrive;
  const left = new Promise((resolve) => (letItArrive = resolve));
  await page.route(/\/v1\/overview$/, async (route) => {
    await left;
    await route.continue();
  }, { times: 1 });
  await page.route(/\/executions\.js$/, (route) => route.abort());
  await page.goto(`${server}/#token=${process.env.KEY}&keep=tab`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.evaluate(() => (location.hash = "#/executions"));
  await page.getByText("could not be loaded").waitFor();
  letItArrive();
  await page.waitForFunction(() => window.parsed);
  await page.evaluate(() => window.parsed.then(() => new Promise((resolve) => setTimeout(resolve)))); // who waited for it has gone on
  assert.ok(await page.locator("#connection").isHidden(), "the overview says how it is connected after the user has left it");
  clean(page);
}
