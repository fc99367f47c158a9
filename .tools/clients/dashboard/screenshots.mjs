// Makes a shot of each page in both themes, from a small phone to a large screen, of a
// statusdev that has run for a while: screenshots.mjs STATUSDEV FOLDER.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { chromium } from "playwright-core";

const [statusdev, folder] = process.argv.slice(2);
const devices = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 }, small: { width: 360, height: 640 }, large: { width: 3840, height: 2160 } };
const settle = 1500; // ms, for what a page shows first
mkdirSync(folder, { recursive: true });

const dev = spawn(statusdev, ["--listen-addr", "127.0.0.1:0", "--loss", "0.1"], { stdio: ["ignore", "pipe", "inherit"] });
const link = await new Promise((resolve) => {
  let said = "";
  dev.stdout.on("data", (text) => {
    said += text;
    const found = /^dashboard (\S+)/m.exec(said);
    if (found && said.includes("Ctrl-C")) resolve(found[1]);
  });
});
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
try {
  console.log("the demo runs for a minute, so that there is something to see");
  await new Promise((resolve) => setTimeout(resolve, 60_000));
  for (const [device, viewport] of Object.entries(devices)) {
    for (const colorScheme of ["light", "dark"]) await visit(device, viewport, colorScheme);
  }
} finally {
  await browser.close();
  dev.kill();
}
process.exit();

async function visit(device, viewport, colorScheme) {
  const context = await browser.newContext({ viewport, colorScheme });
  const page = await context.newPage();
  const shot = async (name) => {
    await page.waitForTimeout(settle);
    await page.screenshot({ path: `${folder}/${name}-${device}-${colorScheme}.png` });
  };
  const show = (fragment) => page.evaluate((to) => (location.hash = to), fragment);
  const openFirst = () => page.locator("td.c-name a").first().click();
  await page.goto(link.split("#")[0]);
  await shot("signin");
  await page.goto("about:blank");
  await page.goto(link);
  await shot("overview");
  await show("#/executions");
  await shot("executions");
  await show("#/executions?q=status%3Afailed");
  await shot("executions-failed");
  await openFirst();
  await shot("execution-failed");
  await show("#/executions?q=status%3Asucceeded");
  await page.waitForTimeout(settle);
  await openFirst();
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await shot("execution");
  await show("#/health");
  await shot("health");
  await page.locator("#help").click();
  await shot("shortcuts");
  await context.close();
}
