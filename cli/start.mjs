/**
 * `npm start`: from a fresh checkout to a served page. Each step does only what is missing, so that the second start takes seconds.
 * `npm run dev` is the same with Next.js's development server in place of the build.
 */
import { parseArgs } from "node:util";
import { ensureBuild, ensurePrismaClient } from "./setup/build.mjs";
import { ensureCatalogue } from "./setup/catalogue.mjs";
import { ensurePackages } from "./setup/packages.mjs";
import { assertPortFree, exitCodeOf, listenAddress, pageUrl, startNext, untilServed } from "./setup/server.mjs";
import { assertNode, duration, runMain, SetupError, step } from "./setup/step.mjs";

const help = `npm start -- [--port 3000] [--host 127.0.0.1] [--dev] [--no-import]

  --port, PORT   the port to serve on (3000)
  --host, HOST   the address to listen on (127.0.0.1: this machine only)
  --dev          the development server, which rebuilds as files change
  --no-import    leave the catalogue as it is

  FACET_DATA_DIR holds the catalogue (.facet); DATABASE_URL names a Postgres to use in its place.`;

function options() {
  try {
    return parseArgs({
      options: {
        host: { type: "string" },
        port: { type: "string" },
        dev: { type: "boolean", default: false },
        "no-import": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    throw new SetupError(/** @type {Error} */ (error).message, help);
  }
}

await runMain(async () => {
  assertNode();
  const flags = options();
  if (flags.help) {
    console.log(help);
    return 0;
  }
  const started = performance.now();
  const { host, port } = listenAddress(flags, process.env);
  await assertPortFree(host, port);

  await step("Packages", ensurePackages);
  await step("Database", ensurePrismaClient);
  if (!flags.dev) await step("Build", ensureBuild);
  if (!flags["no-import"]) await step("Catalogue", (say) => ensureCatalogue(say));

  const url = pageUrl(host, port);
  const server = startNext({ host, port, dev: flags.dev });
  /** @type {Promise<[number | null, NodeJS.Signals | null]>} */
  const ended = new Promise((resolve) => server.once("exit", (code, signal) => resolve([code, signal])));
  const probe = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host;
  try {
    const served = await untilServed(`http://${probe}:${port}/`, server);
    if (served) console.log(`\nFacet is at ${url} after ${duration(performance.now() - started)}. Ctrl-C ends it.\n`);
  } catch (error) {
    server.kill();
    throw error;
  }
  return exitCodeOf(...(await ended));
});
