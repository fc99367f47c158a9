// Names, errors and outputs that somebody has written to do harm, or that are merely odd,
// are shown as text and exactly.
import assert from "node:assert/strict";
import { arnOf, ask, clean, eventually, open, row, server, signIn } from "./harness.mjs";

const markup = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
const turned = "safe\u202Etxt.exe";
const longError = `com.example.${"verification.exceptions.".repeat(6)}TemporarilyUnavailableException`;
const outputs = {
  exact: `{"big":9007199254740993,"exponent":1.0e10,"a":1,"a":2 , "z":-0.0,"text":"${"\\u202E"}\u202E end","html":${JSON.stringify(markup)},"empty":{},"none":[]}`,
  deep: "[".repeat(5000) + "1" + "]".repeat(5000),
  large: `{"list":[${Array.from({ length: 1000 }, (_, i) => `{"n":${i},"text":"${"x".repeat(230)}"}`).join(",")}]}`,
  long: `"${"y".repeat(250_000)}"`,
  "number-alone": "123456789012345678901234567890.10",
  null: "null",
};

export default async function (browser) {
  for (const [name, output] of Object.entries(outputs)) await ask("apply", { name, status: "SUCCEEDED", output });
  await ask("applyMany", { names: Array.from({ length: 300 }, (_, i) => `long-${i}`), status: "FAILED", error: longError, message: `${longError}: x` });
  await ask("apply", { name: "markup", status: "FAILED", error: markup.slice(0, 200), message: `${markup}: ${turned}` });
  const page = await open(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  await signIn(page);
  await page.goto(`${server}/#/executions`);
  await row(page, "markup").getByText(turned).waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  await page.evaluate(() => (location.hash = "#/"));
  for (const width of [1280, 910, 390]) await checkGroups(page, width);

  for (const [name, output] of Object.entries(outputs)) {
    await page.evaluate((arn) => (location.hash = `#/executions/${encodeURIComponent(arn)}`), arnOf(name));
    await page.getByRole("heading", { name, exact: true }).waitFor();
    await show(page);
    if (name === "exact") await checkTree(page);
    if (name === "deep") await checkDeep(page);
    if (name === "large") await checkLarge(page);
    if (name === "long") await checkLong(page, output);
    await page.getByText("Raw", { exact: true }).click();
    assert.equal(await page.locator("pre.raw").evaluate((pre) => pre.textContent), output, `${name}, raw`);
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await eventually(`${name} is copied`, async () => (await page.evaluate(() => navigator.clipboard.readText())) === output);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    assert.equal(Buffer.concat(chunks).toString(), output, `${name}, downloaded`);
  }
  await page.goto(`${server}/#/executions/${encodeURIComponent("<script>alert(1)</script>")}`);
  await signedInAgain(page);
  await page.getByText("This is not the ARN of an execution").waitFor();
  assert.notEqual(await page.title(), "owned");
  clean(page);
}

// A long name leaves its numbers in sight, and nearly all is not all.
async function checkGroups(page, width) {
  await page.setViewportSize({ width, height: 800 });
  const failing = page.getByRole("region", { name: "What fails" });
  await failing.getByText(longError).waitFor();
  await page.getByText(`301 of 307 attempts failed in the last 24 hours, > 99 % of them with ${longError}.`).waitFor();
  const beyond = await failing.evaluate((panel) => [...panel.querySelectorAll("td")].filter((td) => td.getBoundingClientRect().right > panel.getBoundingClientRect().right).map((td) => td.textContent));
  assert.deepEqual(beyond, [], `${width} px`);
}

// A navigation to another fragment keeps the page, and the token in its memory.
async function signedInAgain(page) {
  assert.equal(await page.locator("dialog").count(), 0);
}

// show opens the output. Facts that still arrive may move the button away under the pointer.
async function show(page) {
  const button = page.getByRole("button", { name: "Show", exact: true });
  await button.waitFor();
  await eventually("the output is shown", async () => {
    if (await button.isVisible()) await button.click({ timeout: 1000 }).catch(() => {});
    return page.locator(".tree").isVisible();
  });
}

async function checkTree(page) {
  const tree = await page.locator(".tree").evaluate((element) => element.textContent);
  for (const shown of ["9007199254740993", "1.0e10", '"a": 1', '"a": 2', "-0.0", markup.slice(0, 10)]) {
    assert.ok(tree.includes(shown), `${shown} in ${tree}`);
  }
  assert.ok(await page.locator('.tree bdi[data-code="U+202E"]').count(), "a character that turns the text is named");
}

// Each level opens by itself, however deep it is.
async function checkDeep(page) {
  for (let level = 1; level < 30; level++) await page.locator(".tree details:not([open]) > summary").last().click();
  assert.equal(await page.locator(".tree details[open]").count() >= 29, true);
}

// A long text is shown in part, and on request exactly; the focus is not lost.
async function checkLong(page, output) {
  await page.getByRole("button", { name: /^Show all/ }).press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), output);
}

async function checkLarge(page) {
  await page.locator(".tree details:not([open]) > summary").first().click();
  const more = page.getByRole("button", { name: /Show more/ });
  await more.waitFor();
  const before = await page.locator(".tree-parts > details").count();
  assert.ok(before <= 102, `${before} parts at once`);
  await more.click();
  assert.ok((await page.locator(".tree-parts > details").count()) > before);
}
