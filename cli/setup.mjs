/**
 * `npm run setup`: everything that running and testing Facet needs, without starting it. `--build` also builds the app and leaves Python and
 * the browser alone.
 */
import { parseArgs } from "node:util";
import { ensureBuild, ensurePrismaClient } from "./setup/build.mjs";
import { ensureChromium } from "./setup/chromium.mjs";
import { ensureExtras, withoutExtras } from "./setup/extras.mjs";
import { ensurePackages } from "./setup/packages.mjs";
import { ensurePython } from "./setup/python.mjs";
import { assertNode, FetchError, runMain, step } from "./setup/step.mjs";

await runMain(async () => {
  assertNode();
  const { values } = parseArgs({ options: { build: { type: "boolean", default: false } } });
  await step("Packages", ensurePackages);
  await step("Database", ensurePrismaClient);
  if (values.build) {
    await step("Build", ensureBuild);
  } else {
    await step("Python", ensurePython);
    await step("Extras", (say) =>
      ensureExtras(say).catch((error) => {
        if (!(error instanceof FetchError)) throw error;
        return `${error.message}\n${error.fix}\n${withoutExtras}`;
      }),
    );
    await step("Browser", ensureChromium);
  }
  return 0;
});
