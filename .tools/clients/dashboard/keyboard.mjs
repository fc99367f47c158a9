// The five main tasks by keyboard alone: sign in, find what fails, open one, copy its ARN,
// see its output; and the focus is always somewhere that can be seen.
import assert from "node:assert/strict";
import { arnOf, ask, chord, clean, eventually, key, open, row, server } from "./harness.mjs";

export default async function (browser) {
  for (let i = 0; i < 60; i++) await ask("apply", { name: `run-${i}`, status: i % 20 === 0 ? "FAILED" : "SUCCEEDED", ...(i % 20 === 0 ? { error: "E", message: "E: x" } : { output: '{"n":1}' }) });
  const page = await open(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  const press = (...keys) => keys.reduce((before, each) => before.then(() => page.keyboard.press(each)), Promise.resolve());
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await page.goto(`${server}/`);
  await page.getByLabel("API key or access token").waitFor();
  await page.keyboard.type(key);
  await press("Enter");
  await page.getByRole("heading", { name: "Overview" }).waitFor();

  // Skip link, then every control of the header, in the order in which it is seen.
  await press("Tab");
  assert.equal(await focused(page), "Skip to the content");

  await chord(page, "g", "e", row(page, "run-59"));
  await press("j", "j", "j");
  assert.equal(await focused(page), "run-57");
  for (let i = 0; i < 40; i++) await press("j");
  assert.equal(await focused(page), "run-17", "rows that were not rendered are reached");
  await inSight(page);
  await press("k", "y");
  await eventually("the ARN is copied", async () => (await copied()) === arnOf("run-18"));

  await press("/");
  await page.keyboard.type("sta");
  await press("Tab");
  await page.keyboard.type("fai");
  await press("ArrowDown", "Enter", "Enter");
  await row(page, "run-40").waitFor();
  await eventually("only what failed is left", async () => (await page.locator("tbody tr[aria-rowindex]").count()) === 3);
  assert.ok(page.url().includes("status%3Afailed"), page.url());
  await press("j", "Enter");
  await page.getByRole("heading", { name: "run-40" }).waitFor();
  await press("y");
  await eventually("the ARN is copied", async () => (await copied()) === arnOf("run-40"));
  await press("Escape");
  await row(page, "run-40").waitFor();
  assert.ok(page.url().includes("status%3Afailed"), "the list is what it was");
  await eventually("the focus is on the row that was open", async () => (await focused(page)) === "run-40");
  await page.locator("summary").focus();
  await press("Enter");
  await page.getByRole("button", { name: "statusctl list" }).waitFor();
  await press("Tab", "Enter");
  await eventually("a command is copied", async () => (await copied()).startsWith("statusctl list"));
  assert.equal(await focused(page), "Copy as", "the focus is not lost with the menu");
  await press("Escape");
  await row(page, "run-59").waitFor();

  await press("/");
  await page.keyboard.type(`https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/${encodeURIComponent(arnOf("run-59"))}`);
  await press("Enter");
  await page.getByRole("heading", { name: "run-59" }).waitFor();
  await page.getByRole("button", { name: "Show", exact: true }).waitFor();
  await press("o");
  await page.locator(".tree").getByText('"n"').waitFor();

  await press("p", "t", "?");
  await page.getByRole("heading", { name: "Keyboard shortcuts" }).waitFor();
  await press("Escape");
  await chord(page, "g", "h", page.getByRole("heading", { name: "Health" }));
  assert.equal(await focused(page), "Health");
  await chord(page, "g", "o", page.getByRole("heading", { name: "Overview" }));
  await page.locator(".error-name").first().waitFor();
  await unhidden(page);
  clean(page);
}

const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim());

// In a low window, what gets the focus on the way up is not below the header.
async function unhidden(page) {
  await page.setViewportSize({ width: 1280, height: 360 });
  await page.locator("main a").last().focus();
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press("Shift+Tab");
    const { bottom, top, name } = await page.evaluate(() => {
      const element = document.activeElement;
      return { bottom: element.getBoundingClientRect().bottom, top: document.querySelector("header").getBoundingClientRect().bottom, name: element.outerHTML.slice(0, 200) };
    });
    assert.ok(bottom > top + 8, `${name} is hidden: it ends at ${bottom}, the header at ${top}`);
  }
}

async function inSight(page) {
  const { top, bottom, from, to } = await page.evaluate(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect();
    const box = document.querySelector(".scroller").getBoundingClientRect();
    return { top, bottom, from: box.top, to: box.bottom };
  });
  assert.ok(top >= from && bottom <= to, `the focus is at ${top}–${bottom}, the table at ${from}–${to}`);
}
