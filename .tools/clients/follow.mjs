// Follows executions in a browser as the page /docs says, and prints a line of
// JSON for each state that it receives: follow.mjs CHROMIUM SERVER TOKEN ARN…
import { chromium } from "playwright-core";
import ts from "typescript";

const [executablePath, server, token, ...arns] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
// The page may not ask the API: its policy is for reading. What it shows is run
// as a page of a customer would.
const context = await browser.newContext({ bypassCSP: true });
const page = await context.newPage();
page.on("console", (message) => console.log(message.text()));
await page.goto(`${server}/docs`);
const sample = ts.transpile(await page.textContent("#sample-stream-typescript"), { target: ts.ScriptTarget.ESNext });
await page.evaluate(
  async ([sample, token, arns]) => {
    const follow = new Function(`${sample}; return follow;`)();
    const report = (what) => console.log(JSON.stringify(what));
    await Promise.all(arns.map((arn) => follow("", token, arn, (data) => report(data)).then(() => report({ ended: arn }))));
  },
  [sample, token, arns],
);
await browser.close();
