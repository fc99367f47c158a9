// A person watches what happens: pauses and continues, combines filters, compares durations,
// copies commands, and sees a notice when the page shows old data.
import assert from "node:assert/strict";
import { arnOf, ask, chord, clean, eventually, open, ownerKey, row, server, signIn } from "./harness.mjs";

const payload = "payload-of-an-output";

export default async function (browser) {
  for (let i = 0; i < 8; i++) await ask("apply", { name: `done-${i}`, status: "SUCCEEDED", output: `"${payload}"`, labels: { type: "url" } });
  await ask("apply", { name: "fails", status: "FAILED", error: "E", message: "E: x" });
  await ask("apply", { name: "runs", status: "RUNNING" });
  const page = await open(browser, { permissions: ["clipboard-read", "clipboard-write"] });
  const lists = [];
  page.on("requestfinished", async (request) => {
    if (!request.url().includes("/v1/executions?") || request.headers().accept !== "application/json") return;
    lists.push(await (await request.response()).text());
  });
  await signIn(page);
  await overview(page);
  await list(page);
  await execution(page);
  await parts(page, browser);
  assert.ok(lists.length > 0 && lists.every((answer) => !answer.includes(payload)), "a list carries no output");
  await old(page);
  clean(page);
}

// Every number of the overview leads on to the list that it counts.
async function overview(page) {
  for (const [label, number, shown] of [["Failed, 24 h", "1", ["fails"]], ["Running", "1", ["runs"]], ["Succeeded, 24 h", "8", Array.from({ length: 8 }, (_, i) => `done-${7 - i}`)]]) {
    const tile = page.locator("a.tile").filter({ has: page.locator(".tile-label").getByText(label, { exact: true }) });
    await tile.locator("strong").getByText(number, { exact: true }).waitFor();
    await tile.click();
    await eventually(`${label} leads to ${shown}`, async () => JSON.stringify(await names(page)) === JSON.stringify(shown));
    await page.goBack();
  }
  await page.getByRole("img", { name: /Executions per minute/ }).or(page.getByText("No start and no end is known")).first().waitFor();
  await page.getByRole("img", { name: /Durations by hour/ }).waitFor();
  // What a line or bar stands for is not said by its colour alone.
  const legends = await page.evaluate(() => {
    const look = ({ borderTopStyle, borderTopWidth, height }) => `${borderTopStyle} ${borderTopWidth} ${height}`;
    return [...document.querySelectorAll(".legend")].map((legend) => [...legend.querySelectorAll(".swatch")].map((swatch) => look(getComputedStyle(swatch))));
  });
  assert.ok(legends.length > 0, "a chart has a legend");
  for (const looks of legends) assert.equal(new Set(looks).size, 3, looks.join());
  await page.getByRole("row").filter({ hasText: "Pipeline" }).getByRole("cell", { name: "1 min" }).first().waitFor();
  await page.getByRole("columnheader", { name: "Confirmed until" }).waitFor();
}

async function list(page) {
  let begin;
  const begun = new Promise((resolve) => (begin = resolve));
  await page.route("**/v1/executions*", async (route) => {
    if (route.request().headers().accept === "text/event-stream") await begun;
    await route.continue();
  });
  await page.goto(`${server}/#/executions`);
  await row(page, "runs").waitFor();
  await page.getByText("the newest 10").or(page.getByText("10 executions")).first().waitFor();

  // While paused nothing changes, and what changes is counted; not what the feed begins with.
  await page.keyboard.press("p");
  await page.getByRole("button", { name: "Paused" }).waitFor();
  begin();
  await ask("apply", { name: "runs", status: "FAILED", error: "F", message: "F: late" });
  await page.getByText("1 change held").waitFor();
  assert.match(await row(page, "runs").innerText(), /Running/);
  await page.keyboard.press("p");
  await row(page, "runs").getByText("F: late").waitFor();

  // The counts by status are filters, and combine.
  await page.getByRole("button", { name: /^failed/i }).click();
  await eventually("only what failed", async () => (await names(page)).join() === "runs,fails");
  await page.getByRole("button", { name: /^succeeded/i }).click();
  await eventually("what failed or succeeded", async () => (await names(page)).length === 10);
  assert.equal(await page.getByLabel("Search executions").inputValue(), "status:failed status:succeeded");
  await page.getByRole("button", { name: /^succeeded/i }).click();

  await page.locator("summary").filter({ hasText: "Copy as" }).click();
  await page.getByRole("button", { name: "statusctl list" }).click();
  assert.equal(await copied(page, "statusctl"), `statusctl list --server ${server} --status FAILED`);
  await page.locator("summary").filter({ hasText: "Copy as" }).click();
  await page.getByRole("button", { name: "aws redrive-execution for 2 failed" }).click();
  assert.equal((await copied(page, "aws")).split("\n").length, 2);

  const time = row(page, "fails").locator("time");
  await time.hover();
  assert.match(await time.getAttribute("title"), / ago\n[^]*\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/, "a time in the zone of the reader and in UTC");

  // The box takes an ARN as it is.
  await page.keyboard.press("/");
  await page.keyboard.type(arnOf("fails"));
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "fails" }).waitFor();
}

async function execution(page) {
  await page.getByText("Others with this error").click();
  await eventually("those with the same error", async () => (await names(page)).join() === "fails");
  await page.goBack();
  await page.getByRole("heading", { name: "fails" }).waitFor();
  for (const command of ["statusctl get", "aws redrive-execution", "curl"]) {
    await page.locator("summary").filter({ hasText: "Copy as" }).click();
    await page.getByRole("button", { name: command, exact: true }).click();
    const expected = { curl: encodeURIComponent(arnOf("fails")) }[command] ?? arnOf("fails");
    assert.ok((await copied(page, command.replace(" ", command.startsWith("aws") ? " stepfunctions " : " "))).includes(expected), command);
  }
  assert.equal(await page.getByRole("link", { name: /AWS console/ }).getAttribute("href"), `https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/${encodeURIComponent(arnOf("fails"))}`);

  // One that has run for hours is slower than all before it; a short one is not called fast
  // while it runs.
  await ask("apply", { name: "slow", status: "RUNNING" });
  await page.goto(`${server}/#/executions/${encodeURIComponent(arnOf("slow"))}`);
  await page.getByText("slower than each of the last 8 runs").waitFor();
  await page.locator(".timeline.marked").waitFor();
}

// The queue is for operators.
async function parts(page, browser) {
  await chord(page, "g", "h", page.getByRole("heading", { name: "Queue" }));
  await page.getByText("Dead letters").waitFor();
  const owner = await open(browser);
  await signIn(owner, ownerKey);
  await owner.goto(`${server}/#/health`);
  await owner.getByRole("heading", { name: "Audit" }).waitFor();
  assert.equal(await owner.getByText("Dead letters").count(), 0);
  clean(owner);
}

// A service that is away: what is shown stays, is marked as old, and screen readers get at
// most one message each five seconds. The page has a clock that this scenario moves.
async function old(page) {
  await page.clock.install();
  await signIn(page);
  await page.getByText("10 attempts").first().waitFor();
  await ask("stop");
  await page.getByRole("button", { name: "Reconnecting" }).waitFor();
  await page.locator(".stale .as-of").waitFor();
  await page.getByText(/^Not live since .* The service cannot be reached\./).waitFor();
  await page.getByText("10 attempts").first().waitFor();
  await messages(page);
  await ask("start");
  await page.getByRole("button", { name: "Live" }).waitFor();
  assert.equal(await page.locator(".stale").count(), 0);
}

async function messages(page) {
  await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 60_000); // what was to be said has been
  await page.evaluate(() => {
    globalThis.said = [];
    new MutationObserver(() => said.push(performance.now())).observe(document.getElementById("announce"), { childList: true, characterData: true, subtree: true });
  });
  for (let second = 0; second < 18; second++) {
    await page.keyboard.press("t");
    await page.clock.runFor(1000);
  }
  const said = await page.evaluate(() => globalThis.said);
  assert.deepEqual(said.map((at) => at - said[0]), [0, 5000, 10_000, 15_000]);
  await page.clock.resume();
}

const names = (page) => page.locator("tbody tr[aria-rowindex] td.c-name").allInnerTexts();

// copied is what is in the clipboard, as soon as it begins as expected.
const copied = (page, begin) => eventually(`${begin} is copied`, async () => {
  const text = await page.evaluate(() => navigator.clipboard.readText());
  return text.startsWith(begin) && text;
});
