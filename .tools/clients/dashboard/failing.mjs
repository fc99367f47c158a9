// What fails: its groups by window, the trend of each, and what runs longer than usual. Each
// number leads to the list that it counts.
import assert from "node:assert/strict";
import { ask, clean, eventually, open, row, server, signIn } from "./harness.mjs";

const day = 24 * 60; // minutes

export default async function (browser) {
  await ask("apply", { name: "fresh", status: "FAILED", error: "Fresh", message: "Fresh: x", minutes: 30 });
  await ask("apply", { name: "before", status: "FAILED", error: "Today", message: "Today: x", minutes: 6 * 60 });
  await ask("apply", { name: "today", status: "FAILED", error: "Today", message: "Today: x", minutes: 5 * 60 });
  await ask("apply", { name: "past", status: "FAILED", error: "Past", message: "Past: x", minutes: 3 * day });
  await ask("applyMany", { names: Array.from({ length: 120 }, (_, i) => `quick-${i}`), status: "SUCCEEDED", output: "1" });
  await ask("apply", { name: "late", status: "RUNNING" });
  const page = await open(browser);
  await signIn(page);
  await late(page);
  await windows(page);
  await trend(page);
  await minute(page);
  clean(page);
}

// What runs for longer than 99 of 100 runs took is overdue.
async function late(page) {
  const tile = page.locator("a.tile.late").filter({ hasText: "Overdue now" });
  await tile.locator("strong").getByText("1", { exact: true }).waitFor();
  await page.getByText("1 execution runs longer than usual.").waitFor();
  await tile.click();
  await row(page, "late").getByText("overdue").waitFor();
  assert.deepEqual(await page.locator("td.c-name").allInnerTexts(), ["late"]);
  assert.equal(await page.getByLabel("Search executions").inputValue(), "overdue:true");
  await page.goBack();
}

// A point of a chart leads to what started then, by the keyboard too.
async function minute(page) {
  await page.goto(`${server}/#/`);
  const chart = page.getByRole("img", { name: /^Executions per minute/ });
  await chart.focus();
  await eventually("the minute in which one started", async () => {
    await page.keyboard.press("ArrowLeft");
    return / started 1$/.test(await chart.getAttribute("aria-label"));
  });
  const [clock] = /\d\d:\d\d/.exec(await chart.getAttribute("aria-label"));
  await page.keyboard.press("Enter");
  await row(page, "fresh").waitFor();
  assert.deepEqual(await page.locator("td.c-name").allInnerTexts(), ["fresh"]);
  assert.match(await row(page, "fresh").locator("time").innerText(), new RegExp(`^(\\d+ \\w+, )?${clock}:\\d\\d$`), "with its day after midnight");
}

async function windows(page) {
  const errors = page.locator("tbody .error-name");
  const shows = (what, names) => eventually(`${what} shows ${names}`, async () => (await errors.allInnerTexts()).sort().join() === names);
  await shows("a day", "Fresh,Today");
  await page.getByText("1 h", { exact: true }).click();
  await shows("an hour", "Fresh");
  await page.getByText("7 d", { exact: true }).click();
  await shows("a week", "Fresh,Past,Today");
  assert.equal(page.url(), `${server}/#/?window=7d`);
  await page.goBack();
  await shows("an hour again", "Fresh");
  assert.ok(await page.getByLabel("1 h", { exact: true }).isChecked());
  await page.goForward();
  await shows("a week again", "Fresh,Past,Today");
  await ask("apply", { name: "quick-0", status: "RUNNING", attempt: 1 }); // an overview of a day comes, and does not replace the week
  await page.locator('a.tile[href="#/executions?q=status%3Arunning"] strong').getByText("2", { exact: true }).waitFor();
  await shows("still a week", "Fresh,Past,Today");
  await page.locator("tbody a").filter({ hasText: "Past" }).click();
  await row(page, "past").waitFor();
  assert.deepEqual(await page.locator("td.c-name").allInnerTexts(), ["past"], "what was counted in the week");
  await page.goto(`${server}/#/`);
}

// The trend of a group says in words what its bars show, the oldest first, and adds up to its
// count.
async function trend(page) {
  const bars = async (error) => {
    const tr = page.getByRole("row").filter({ hasText: error });
    const label = await tr.getByRole("img", { name: /^Trend, oldest first/ }).getAttribute("aria-label");
    const values = label.match(/\d+/g).map(Number);
    const heights = await tr.locator("svg.spark rect").evaluateAll((each) => each.map((rect) => rect.height.baseVal.value));
    assert.deepEqual(heights.map((height) => height > 0), values.map((value) => value > 0), "a bar for each failure and none for none");
    assert.equal(String(values.reduce((sum, value) => sum + value, 0)), await tr.locator("td").nth(1).innerText(), "the trend adds up");
    return values;
  };
  await page.locator(".error-name").getByText("Today").waitFor();
  const [fresh, today] = [await bars("Fresh"), await bars("Today")];
  assert.ok(today.lastIndexOf(1) < fresh.lastIndexOf(1), `${today} before ${fresh}`);
  assert.equal(today.filter((value) => value === 1).length, 2, `two hours with a failure each: ${today}`);
}
