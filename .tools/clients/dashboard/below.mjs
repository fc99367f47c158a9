// Below a path prefix, on phones, over plain HTTP at a name that browsers do not trust: no
// clipboard API. Everything works, and nothing is wider than the window. On a large screen
// letters are large too.
import assert from "node:assert/strict";
import { arnOf, ask, clean, open, row, signIn } from "./harness.mjs";

export default async function (browser) {
  await ask("apply", { name: "two", status: "SUCCEEDED", output: "1" });
  await ask("apply", { name: "one", status: "FAILED", error: "E", message: "E: x" });
  const at = process.env.PREFIXED;
  const page = await open(browser, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, at });
  await page.addInitScript(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
  await signIn(page, undefined, at);
  await page.getByText(/^100 %, first seen .*, Pipeline$/).waitFor(); // there are no columns for that
  for (const width of [390, 360]) {
    await page.setViewportSize({ width, height: 740 });
    await everyPage(page, (link) => link.tap());
  }
  const share = await page.evaluate(() => {
    const box = document.querySelector(".failure");
    return box.querySelector("span").offsetWidth / box.clientWidth;
  });
  assert.ok(share > 0.7, `the message has ${share} of its box`);
  await page.evaluate(() => document.addEventListener("copy", () => (document.body.dataset.copied = getSelection().toString())));
  await page.getByRole("button", { name: "Copy ARN" }).tap();
  await page.getByText("ARN copied").first().waitFor();
  assert.equal(await page.evaluate(() => document.body.dataset.copied ?? document.activeElement.value), arnOf("one"));
  assert.ok(page.url().startsWith(at), page.url());
  await page.getByRole("button", { name: "Copy link" }).tap();
  await page.getByRole("button", { name: "Copy: A page for people" }).tap();
  await page.getByText("Copied").first().waitFor();
  assert.ok((await page.evaluate(() => document.body.dataset.copied)).startsWith(`${at}#link=csl_`), "in a dialog too");
  clean(page);

  const wall = await open(browser, { viewport: { width: 3840, height: 2160 }, at });
  await signIn(wall, undefined, at);
  await everyPage(wall, (link) => link.click());
  await wall.goto(`${at}#/executions`);
  await row(wall, "one").waitFor();
  const { size, height } = await wall.evaluate(() => {
    const tr = document.querySelector("tbody tr[aria-rowindex]");
    return { size: Number.parseFloat(getComputedStyle(tr).fontSize), height: tr.offsetHeight };
  });
  assert.ok(size >= 20 && height > 2 * size, `letters of ${size} px in rows of ${height} px`);
  await wall.getByRole("link", { name: "Overview", exact: true }).click();
  await wall.locator(".chart:not([hidden]) .tick").first().waitFor();
  const { small, crossed } = await wall.evaluate(() => {
    const boxes = [...document.querySelectorAll(".chart:not([hidden]) .tick")].map((tick) => tick.getBoundingClientRect());
    const cross = (a, b) => a !== b && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
    const search = getComputedStyle(document.getElementById("find")).fontSize;
    return { small: [Number.parseFloat(search), ...boxes.map((box) => box.height)].filter((size) => size < 17), crossed: boxes.filter((a) => boxes.some((b) => cross(a, b))).length };
  });
  assert.deepEqual([small, crossed], [[], 0], "letters of the search and of charts, in px, and those that cross");
  for (const width of [800, 910, 1024]) {
    await wall.setViewportSize({ width, height: 700 });
    await everyPage(wall, (link) => link.click());
    const search = await wall.locator("#find").evaluate((input) => input.clientWidth);
    assert.ok(search > 180, `a search of ${search} px at ${width} px`);
  }
  clean(wall);
}

async function everyPage(page, follow) {
  for (const [name, found] of [["Health", page.getByText("All is well")], ["Overview", page.getByRole("heading", { name: "State machines" })], ["Executions", row(page, "one")]]) {
    await follow(page.getByRole("navigation").getByRole("link", { name }));
    await found.waitFor();
    await narrow(page, name);
  }
  await follow(page.getByRole("link", { name: "one", exact: true }));
  await page.getByRole("heading", { name: "one" }).waitFor();
  await page.getByRole("heading", { name: "Trail" }).waitFor();
  await narrow(page, "Execution");
}

async function narrow(page, what) {
  const { wide, window } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, window: innerWidth }));
  assert.ok(wide <= window, `${what} is ${wide} px wide in a window of ${window} px`);
  const outside = await page.evaluate(() => [...document.querySelectorAll("main :is(a, button, b)")].filter((each) => !each.closest(".x-scroll") && each.getBoundingClientRect().right > innerWidth).map((each) => each.textContent));
  assert.deepEqual(outside, [], `${what}: beyond the right edge of ${window} px`);
}
