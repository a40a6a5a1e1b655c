/**
 * What the browser tests run against: the built app with the demo's bundle imported into a catalogue of its own, so that neither a person's
 * catalogue nor their running server is touched, and under a guard that lets no request leave this machine. Beside the demo's it has a small
 * dictionary in two versions, which no engine runs. Playwright starts it and ends it.
 */
import { existsSync } from "node:fs";
import { cp, rename } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { ensureBuild, ensurePrismaClient } from "../cli/setup/build.mjs";
import { ensureCatalogue } from "../cli/setup/catalogue.mjs";
import { clearGuardLog, guardedEnv } from "../cli/setup/guard.mjs";
import { inRoot, root } from "../cli/setup/paths.mjs";
import { run } from "../cli/setup/processes.mjs";
import { startNext } from "../cli/setup/server.mjs";
import { runMain, step } from "../cli/setup/step.mjs";

/**
 * The copy of files is made from a catalogue of its own (e2e/static.spec.ts), since this one is open while it is served. Before it is, and while it
 * holds the bundle alone, its files are a start for that one, so that the same import is not made twice.
 * @param {string} data
 */
async function lendCatalogue(data) {
  const other = `${data}-static`;
  if (existsSync(other) || existsSync(path.join(data, "two-versions"))) return;
  const draft = `${other}.draft-${process.pid}`;
  for (const name of ["catalogue", "images"]) await cp(path.join(data, name), path.join(draft, name), { recursive: true });
  await rename(draft, other);
}

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "0" },
      data: { type: "string", default: ".facet/e2e" },
      bundle: { type: "string", default: process.env.FACET_E2E_BUNDLE || "demo/bundle" },
    },
  });
  // npm test has begun the log already, with the build.
  if (!process.env.FACET_GUARD_LOG) clearGuardLog();
  // A person's own worker is none of the tests' business; e2e/worker.spec.ts names one of its own.
  const worker = { FACET_WORKER_URL: process.env.FACET_E2E_WORKER_URL ?? "", FACET_WORKER_TOKEN: process.env.FACET_E2E_WORKER_TOKEN ?? "" };
  const env = { FACET_DATA_DIR: values.data, DATABASE_URL: "", FACET_EMBEDDINGS_URL: "", ...worker, ...guardedEnv };
  await step("Database", ensurePrismaClient);
  await step("Build", (say) => ensureBuild(say, guardedEnv));
  await step("Catalogue", (say) => ensureCatalogue(say, { env, bundle: values.bundle }));
  await lendCatalogue(path.resolve(root, values.data));
  const versions = path.relative(root, path.resolve(root, values.data, "two-versions"));
  await run("writing two versions of a dictionary", process.execPath, ["--import", "tsx", inRoot("e2e", "write-versions.ts"), versions]);
  for (const version of ["1", "2"])
    await step(`Version ${version}`, (say) => ensureCatalogue(say, { env, bundle: path.join(versions, version) }));
  const server = startNext({ host: "127.0.0.1", port: Number(values.port), env });
  await new Promise((resolve) => server.once("exit", resolve));
  return 0;
});
