// Runs the scenarios that the test names, one after the other in one browser: to start Node and a
// browser takes as much as a short scenario. It says after each that it has passed, and exits
// with 1 where something is not as it should be.
import { browse, nextScenario } from "./harness.mjs";

const browser = await browse();
try {
  for (let name; (name = await nextScenario()); ) {
    const { default: scenario } = await import(`./${name}.mjs`);
    await scenario(browser);
    await Promise.all(browser.contexts().map((context) => context.close()));
    console.log(JSON.stringify({ ask: "passed" }));
  }
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
