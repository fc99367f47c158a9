// Runs a scenario: run.mjs NAME. It exits with 1 where something is not as it should be.
import { browse } from "./harness.mjs";

const { default: scenario } = await import(`./${process.argv[2]}.mjs`);
const browser = await browse();
try {
  await scenario(browser);
} catch (error) {
  console.error(error.stack);
  for (const context of browser.contexts()) {
    for (const page of context.pages()) {
      console.error(page.url(), (await page.locator("body").innerText()).slice(0, 1500), page.faults);
    }
  }
  process.exitCode = 1;
} finally {
  await browser.close();
}
process.exit();
