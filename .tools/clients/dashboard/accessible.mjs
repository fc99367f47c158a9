// axe finds nothing wrong on any page, in any state and in either theme.
import { accessible, arnOf, ask, clean, eventually, open, row, server, signIn } from "./harness.mjs";

export default async function (browser) {
  const page = await open(browser);
  await page.goto(`${server}/`);
  await page.getByLabel("API key or access token").waitFor();
  await accessible(page, "signing in");
  await page.getByLabel("API key or access token").fill("csk_live_00000000000000000000000000000000");
  await page.keyboard.press("Enter");
  await page.getByText("not valid").waitFor();
  await accessible(page, "a key that is not valid");
  await signIn(page);
  await page.getByText("No executions yet").waitFor();
  await accessible(page, "an empty overview");
  await page.getByRole("link", { name: "Executions" }).click();
  await page.getByText("No executions yet").waitFor();
  await accessible(page, "an empty list");

  await ask("apply", { name: "fails", status: "FAILED", error: "States.Timeout", message: "States.Timeout: after 30 s" });
  await ask("apply", { name: "runs", status: "RUNNING", attempt: 1 });
  await ask("apply", { name: "ends", status: "SUCCEEDED", output: '{"a":[1,true,null,"x"],"b":{}}' });
  await eventually("all three are shown", async () => {
    await page.keyboard.press(".");
    return (await row(page, "ends").count()) === 1;
  });
  await accessible(page, "the list");
  await page.getByLabel("Search executions").fill("status:");
  await page.getByRole("option").first().waitFor();
  await accessible(page, "completion");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: /failed/i }).click();
  await page.getByRole("button", { name: "Live" }).click();
  await page.getByRole("button", { name: "Paused" }).waitFor();
  await page.locator("summary").filter({ hasText: "Copy as" }).click();
  await accessible(page, "a filtered list, paused, with its menu");

  for (const name of ["fails", "runs", "ends"]) {
    await page.goto(`${server}/#/executions/${encodeURIComponent(arnOf(name))}`);
    await page.getByRole("heading", { name }).waitFor();
    await page.locator(".facts dd").first().waitFor();
    await page.getByRole("heading", { name: "Trail" }).waitFor();
    await accessible(page, `the execution that ${name}`);
  }
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.locator(".tree").waitFor();
  await accessible(page, "an output as a tree");
  await page.getByText("Raw", { exact: true }).click();
  await accessible(page, "an output, raw");
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByText("Anyone with this link").waitFor();
  await accessible(page, "a link");
  const link = await page.locator(".command code").first().innerText();
  await page.keyboard.press("Escape");
  const reader = await open(browser);
  await reader.goto(link);
  await reader.getByRole("heading", { name: "ends" }).waitFor();
  await reader.locator(".facts dd").first().waitFor();
  await accessible(reader, "an execution by a link");
  for (const [search, says] of [["bogus:x", "is not a qualifier"], ["name:nobody", "No execution matches"]]) {
    await page.goto(`${server}/#/executions?q=${search}`);
    await page.getByText(says).waitFor();
    await accessible(page, search);
  }
  await page.goto(`${server}/#/executions/none`);
  await page.getByText("This is not the ARN").waitFor();
  await accessible(page, "an execution that cannot be shown");
  await page.goto(`${server}/#/health`);
  await page.getByRole("heading", { name: "Audit" }).waitFor();
  await accessible(page, "health");
  await page.getByRole("button", { name: "Keyboard shortcuts" }).click();
  await accessible(page, "the shortcuts");
  await page.keyboard.press("Escape");
  await page.goto(`${server}/#/`);
  await page.getByRole("heading", { name: "State machines" }).waitFor();
  await accessible(page, "the overview");
  await page.setViewportSize({ width: 390, height: 844 });
  await accessible(page, "the overview on a phone");
  await page.goto(`${server}/#/executions`);
  await row(page, "ends").waitFor();
  await accessible(page, "the list on a phone");
  await row(page, "fails").getByRole("link").click();
  await page.getByRole("heading", { name: "Trail" }).waitFor();
  await accessible(page, "an execution on a phone");
  await page.keyboard.press("Escape");
  await row(page, "ends").waitFor();
  await ask("stop");
  await page.getByRole("button", { name: "Reconnecting" }).waitFor();
  await accessible(page, "the list while the service is away");
  clean(page);
}
