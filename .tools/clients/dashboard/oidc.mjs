// Somebody signs in at an OpenID provider, comes back to the view that they wanted, sees
// their own executions only, and stays signed in when the first token ends, also where the
// provider could not be reached once. Where it refuses to refresh, they are asked to sign in.
import assert from "node:assert/strict";
import { ask, clean, eventually, open, row, server } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "mine", status: "RUNNING", owner: "alice" });
  await ask("apply", { name: "of-others", status: "RUNNING", owner: "bob" });
  const issuer = process.env.ISSUER;
  const page = await open(browser, { also: [issuer] });
  const grants = [];
  page.on("request", (request) => {
    if (request.method() === "POST" && request.url() === `${issuer}/token`) grants.push(new URLSearchParams(request.postData()).get("grant_type"));
  });
  let lost = 1; // requests to refresh that do not reach the provider
  await page.route(`${issuer}/token`, (route) => (route.request().postData().includes("refresh_token") && lost-- > 0 ? route.abort() : route.continue()));
  await page.goto(`${server}/#/executions?q=status%3Arunning`);
  await page.setViewportSize({ width: 390, height: 844 }); // on a phone too
  await page.getByRole("button", { name: /Sign in with/ }).click();
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByPlaceholder("Enter any login").fill("alice");
  await page.getByPlaceholder("and password").fill("x");
  await page.getByRole("button", { name: /sign-in/i }).click();
  await page.getByRole("button", { name: /continue/i }).click();
  await row(page, "mine").waitFor();
  assert.equal(page.url(), `${server}/#/executions?q=status%3Arunning`, "neither code nor token is left in the address");
  assert.equal(await row(page, "of-others").count(), 0);
  assert.deepEqual(grants.filter((grant) => grant !== "refresh_token"), ["authorization_code"]); // the token may be refreshed by now

  await eventually("the token is refreshed twice after a failure", async () => grants.filter((grant) => grant === "refresh_token").length >= 3);
  await ask("apply", { name: "mine", status: "SUCCEEDED", owner: "alice", output: "1" });
  await row(page, "mine").getByText("Succeeded").waitFor();
  assert.equal(await page.locator("dialog").count(), 0);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.ok(!/eyJ|verifier/.test(stored), stored);

  await page.route(`${issuer}/token`, (route) => route.fulfill({ status: 400, headers: { "Access-Control-Allow-Origin": "*" }, json: { error: "invalid_grant" } }));
  await page.getByText("no longer valid").waitFor();
  await page.getByRole("button", { name: /Sign in with/ }).waitFor();
  assert.equal(await row(page, "mine").count(), 1, "the view stays");
  clean(page);
}
