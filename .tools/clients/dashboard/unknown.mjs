// Where the service has not answered, or only in part, a page says that and nothing else: not
// that there is nothing, or that nothing has failed.
import assert from "node:assert/strict";
import { arnOf, ask, clean, eventually, open, row, server } from "./harness.mjs";

const statements = /No failure is known|No executions yet|No execution matches|No start|No run time|All is well|No audit|\b0 executions|none\b|nothing/i;
const unavailable = (route) => route.fulfill({ status: 503, headers: { "Retry-After": "1" }, json: { success: false, error: { code: "ServiceUnavailable", message: "Redis has gone for a walk" } } });
const cut = (route) => route.abort();

export default async function (browser) {
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  const answers = [[unavailable, "The service answers 503: Redis has gone for a walk"], [cut, "The service cannot be reached"]];
  const views = ["#/", "#/executions", "#/executions?q=status:failed", "#/executions/arn:aws:states:us-east-1:123456789012:execution:Pipeline:one", "#/health"];
  for (const [answer, says] of answers) await Promise.all(views.map((view) => unanswered(browser, view, answer, says)));
  await Promise.all([inPart(browser), audited(browser)]);
}

// unanswered: a view that no request fills says why, and recovers.
async function unanswered(browser, view, answer, says) {
  const page = await open(browser);
  await page.route(/\/v1\//, answer);
  await page.goto(`${server}/#token=${process.env.KEY}&keep=tab`);
  await page.evaluate((to) => (location.hash = to), view);
  await page.getByRole("complementary", { name: "Problems" }).getByText(says).waitFor();
  assert.doesNotMatch(await page.locator("main").innerText(), statements, view);
  await page.unroute(/\/v1\//);
  await page.getByRole("button", { name: /^(Live|Ended)$/ }).waitFor();
  await page.getByRole("complementary", { name: "Problems" }).waitFor({ state: "hidden" });
  clean(page);
  await page.context().close();
}

// audited: how far the audit has come says nothing about an execution that is not known. Whether
// one that is known is confirmed becomes true while its page is open.
async function audited(browser) {
  const page = await open(browser);
  await page.goto(`${server}/#token=${process.env.KEY}&keep=tab`);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.locator(".tile").first().waitFor();
  let confirmedUntil = "2020-01-01T00:00:00Z";
  await page.route(/\/v1\/overview$/, async (route) => {
    const response = await route.fetch();
    const answer = await response.json();
    for (const machine of answer.data.machines) machine.confirmedUntil = confirmedUntil;
    await route.fulfill({ response, json: answer });
  });
  const show = (name) => page.evaluate((to) => (location.hash = to), `#/executions/${encodeURIComponent(arnOf(name))}`);
  await show("never-heard-of");
  await page.getByRole("alert").getByText("Nothing is known of this execution.").waitFor();
  await show("one");
  await page.getByText("Not yet confirmed: audited until").waitFor();
  confirmedUntil = new Date().toISOString();
  await page.getByText("Confirmed: audited until", { exact: false }).and(page.locator("dd span")).filter({ hasNotText: "Not yet" }).waitFor();
  clean(page);
}

// inPart: if one request fails, its part of the page is unknown; the rest stays.
async function inPart(browser) {
  const page = await open(browser);
  await page.route(/\/v1\/durations/, cut);
  await page.goto(`${server}/#token=${process.env.KEY}&keep=tab`);
  const chart = page.getByRole("region", { name: "Durations" });
  await chart.getByText("The service cannot be reached").waitFor();
  await page.locator(".error-name").getByText("E", { exact: true }).waitFor();

  await page.route(/\/v1\/failures/, unavailable);
  await page.getByText("7 d", { exact: true }).click();
  const failing = page.getByRole("region", { name: "What fails" });
  await failing.getByText("Loading …").waitFor();
  assert.equal(await failing.locator(".error-name").count(), 0, "those of the last 24 hours are not those of 7 days");
  await page.unroute(/\/v1\/failures/);
  await failing.locator(".error-name").getByText("E", { exact: true }).waitFor();

  // An old window is read again while it is shown.
  await ask("apply", { name: "two", status: "FAILED", error: "F", message: "F: y" });
  await failing.locator(".error-name").getByText("F", { exact: true }).waitFor();
  await page.unroute(/\/v1\/durations/);

  // A request that is tried again does not make a live page look wrong.
  let waited = 0;
  await page.route(/\/trail$/, (route) => (waited++, unavailable(route)));
  await page.evaluate((to) => (location.hash = to), `#/executions/${encodeURIComponent(arnOf("two"))}`);
  await eventually("the trail is requested again", () => waited > 1);
  await page.getByRole("button", { name: "Ended" }).waitFor();
  assert.ok(await page.getByRole("complementary", { name: "Problems" }).isHidden());
  await further(page);
  clean(page);
}

// further: where the search has stopped before the end, the page does not say that there is
// nothing, and searches on when it is told to.
async function further(page) {
  let asked = 0;
  await page.route(/\/v1\/executions\?/, async (route) => {
    if (route.request().headers().accept !== "application/json" || new URL(route.request().url()).searchParams.get("limit") !== "100") return route.continue();
    asked++;
    await route.fulfill({ json: { success: true, data: { executions: [], nextCursor: `c${asked}`, partial: true, counts: { RUNNING: 0, SUCCEEDED: 0, FAILED: 2 } } } });
  });
  await page.evaluate(() => (location.hash = "#/executions?q=name:deep"));
  const button = page.getByRole("button", { name: "Search older ones" });
  await button.waitFor();
  const before = asked;
  await page.getByText("None of the newest executions matches.").waitFor();
  assert.ok(!/No execution matches/.test(await page.locator("main").innerText()));
  await page.unroute(/\/v1\/executions\?/);
  await page.route(/\/v1\/executions\?.*cursor=c/, (route) => route.continue({ url: route.request().url().replace(/&?cursor=c\d+/, "").replace(/&?name=deep/, "") }));
  assert.equal(asked, before, "it does not search on by itself");
  await button.click();
  await eventually("what is older", async () => (await row(page, "one").count()) === 1);
}
