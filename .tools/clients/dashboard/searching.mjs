// The search box: qualifiers combine, labels are understood in each way of writing them, and
// the page reports what it does not understand.
import assert from "node:assert/strict";
import { ask, clean, eventually, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "night-1", status: "SUCCEEDED", output: "1", labels: { type: "url", customer: "acme" } });
  await ask("apply", { name: "night-2", status: "FAILED", error: "E", message: "E: x", labels: { type: "url", customer: "other" } });
  await ask("apply", { name: "day-1", status: "RUNNING", labels: { type: "cve", customer: "acme" } });
  const page = await open(browser);
  await signIn(page);
  const found = async (search, ...names) => {
    if (search) await page.evaluate((to) => (location.hash = `#/executions?q=${encodeURIComponent(to)}`), search);
    await eventually(`${search} finds ${names}`, async () => {
      const shown = await page.locator("tbody tr[aria-rowindex] td.c-name").allInnerTexts();
      return JSON.stringify(shown.sort()) === JSON.stringify(names.sort());
    });
  };
  await page.goto(`${server}/#/executions`);
  await row(page, "day-1").waitFor();
  for (const label of ["label:type=url", "label:type:url", 'label:"type=url"', "type=url", "type:url", "LABEL:type=url"]) {
    await found(label, "night-1", "night-2");
    assert.equal(await page.getByRole("alert").count(), 0, label);
  }
  await found("type=url label:customer=acme", "night-1");
  await found("status:failed status:running", "night-2", "day-1");
  await found("name:night status:failed error:E started:<24h", "night-2");
  await found("acme", "night-1", "day-1");
  assert.equal(await page.title(), "acme · Status cache");
  assert.equal(await page.getByRole("button", { name: /^failed/i }).innerText(), "Failed", "the counts are of all executions, not of those that match");
  await found("machine:Pipeline customer=acme status:running", "day-1");

  // A word that is the beginning of a value that the page knows is completed to what finds it.
  const box = page.getByLabel("Search executions");
  for (const [word, whole] of [["pipe", "machine:Pipeline"], ["E", "error:E"], ["acm", "label:customer=acme"], ["label:ty", "label:type="]]) {
    await box.fill(word);
    await page.getByRole("option").filter({ has: page.getByText(whole.split(":")[1], { exact: true }) }).click();
    assert.equal((await box.inputValue()).trim(), whole);
  }

  // An empty box shows everything again, also if it was emptied with the mouse.
  assert.equal(await box.getAttribute("type"), "search", "the browser shows a cross in it");
  await box.fill("");
  await found("", "day-1", "night-1", "night-2");
  assert.equal(page.url(), `${server}/#/executions`);

  for (const [search, says] of [["bogus:x", "“bogus:” is not a qualifier"], ["constructor:x", "“constructor:” is not a qualifier"], ["status:late", "status:late is none of"], ["status:constructor", "status:constructor is none of"], ["label:type", "has no value"], ["overdue:yes", "overdue:yes must be overdue:true"], ["started:soon", "neither an age"]]) {
    await page.evaluate((to) => (location.hash = `#/executions?q=${encodeURIComponent(to)}`), search);
    await page.getByRole("alert").filter({ hasText: says }).waitFor();
    assert.ok(await page.locator(".scroller").isHidden(), `${search}: rows that were not searched for`);
  }
  await page.goBack();
  await page.getByRole("alert").filter({ hasText: "must be overdue:true" }).waitFor();
  await page.goForward();
  await page.getByRole("alert").filter({ hasText: "neither an age" }).waitFor();
  clean(page);
}
