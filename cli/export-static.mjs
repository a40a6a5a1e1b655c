/** `npm run export:static`: the catalogue and the app as files that any host of files can serve (docs/static.md). */
import path from "node:path";
import { parseArgs } from "node:util";
import { ensurePrismaClient, ensureSite } from "./setup/build.mjs";
import { ensureCatalogue } from "./setup/catalogue.mjs";
import { ensurePackages } from "./setup/packages.mjs";
import { inRoot } from "./setup/paths.mjs";
import { run } from "./setup/processes.mjs";
import { assertNode, runMain, SetupError, step } from "./setup/step.mjs";

const help = `npm run export:static -- [--out static-export] [--base /folder] [--no-import]

  --out        the folder to write; one that this command wrote before is replaced whole
  --base       the path under which the host serves it, where that is not its root
  --no-import  leave the catalogue as it is`;

await runMain(async () => {
  assertNode();
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: "static-export" },
      base: { type: "string", default: "" },
      "no-import": { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const { base } = values;
  if (base !== "" && !/^(\/[\w.~-]+)+$/.test(base))
    throw new SetupError(`"${base}" is no path.`, "It begins with a / and does not end with one.");
  await step("Packages", ensurePackages);
  await step("Database", ensurePrismaClient);
  await step("Pages", (say) => ensureSite(say, base));
  if (!values["no-import"]) await step("Catalogue", (say) => ensureCatalogue(say));
  await run(
    "export",
    process.execPath,
    ["--import", "tsx", inRoot("cli", "facet.ts"), "export-static", "--out", path.resolve(values.out)],
    {
      show: true,
      terminal: true,
      fix: "Nothing was written. The lines above say why.",
    },
  );
  const look = `python3 -m http.server --directory ${values.out} 8000`;
  console.log(base ? `\nIt is for a host that serves it under ${base}.` : `\nTo look at it: ${look} → http://localhost:8000/`);
  return 0;
});
