#!/usr/bin/env -S npx tsx
/** The `facet` command: thin over lib. */
import { Command } from "commander";
import { FacetError } from "@/lib/core/errors";
import type { ExportCommandOptions } from "./commands/export";
import type { StaticExportOptions } from "./commands/export-static";
import type { ImportCommandOptions } from "./commands/import";

const program = new Command("facet")
  .description("Facet: an explorer for the features that sparse autoencoders find inside multimodal models")
  .showHelpAfterError();

program
  .command("import")
  .description("import a bundle, or files of other tools, into the catalogue; what is there already changes nothing")
  .argument("<path...>", "a bundle's folder, or weights, caches, explanations and scores of one model (docs/formats.md)")
  .option("--model <slug>", "the model's name in addresses, where the files do not say")
  .option("--name <name>", "the dictionary's name in addresses (default: its hook)")
  .option("--hook <hook>", "the hook, where the files do not say: model.layers.24")
  .option("--grid <rows>x<cols>", "how an image's tokens lie, where an activation cache does not say: 24x24")
  .option("--tokenizer <file>", "the model's tokenizer.json, where a cache holds the numbers of tokens only")
  .option("--into <ref>", "add the files to this dictionary: <model>/<dictionary>[@version]")
  .option("--quiet", "say only what went wrong", false)
  .action(async (paths: string[], options: ImportCommandOptions) => (await import("./commands/import")).importCommand(paths, options));

program
  .command("export")
  .description("write dictionaries of one model as files (docs/formats.md): a bundle, the paper's, Neuronpedia's, or a list as CSV")
  .argument("<ref...>", "<model>/<dictionary>[@version]")
  .option("--format <format>", "bundle, paper, neuronpedia or csv", "bundle")
  .option("--out <path>", "a folder that is not there yet; for csv a file (default: standard output)")
  .option("--query <query>", 'csv only: the list as its page\'s address has it, "sort=-density&concept=object&q=lemon"')
  .action(async (refs: string[], options: ExportCommandOptions) => (await import("./commands/export")).exportCommand(refs, options));

program
  .command("export-static")
  .description("write the catalogue with built pages as files for any host; npm run export:static builds the pages first")
  .requiredOption("--out <folder>", "the folder to write; one that this command wrote before is replaced")
  .option("--pages <folder>", "the built pages", "site/out")
  .action(async (options: StaticExportOptions) => {
    const { files, bytes } = await (await import("./commands/export-static")).exportStatic(options);
    console.log(`  ${files.toLocaleString("en")} files of data, ${(bytes / 1e6).toFixed(1)} MB, in ${options.out}`);
  });

program
  .command("drop")
  .description("take a dictionary out of the catalogue, with the images that no other one shows")
  .argument("<ref>", "<model>/<dictionary>, with @<first digits of its hash> where there are several versions")
  .option("--version <hash>", "the version, as after the @")
  .action(async (ref: string, options: { version?: string }) => (await import("./commands/drop")).dropCommand(ref, options));

program
  .command("embed")
  .description("make the vectors that search by meaning needs, where they are missing or another embedder's")
  .option("--quiet", "say only what went wrong", false)
  .action(async (options: { quiet: boolean }) => (await import("./commands/embed")).embedCommand(options));

program
  .command("migrate")
  .description("bring the database to this version's tables")
  .action(async () => (await import("./commands/migrate")).migrateCommand());

program
  .command("doctor")
  .description("say what is wrong with the catalogue and what to do")
  .action(async () => (await import("./commands/doctor")).doctorCommand());

program
  .command("list")
  .description("list the catalogue's dictionaries")
  .option("--json", "as JSON", false)
  .action(async (options: { json: boolean }) => (await import("./commands/list")).listCommand(options));

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof FacetError)) throw error;
  console.error(`${error.message}\n${error.fix}`);
  // As a shell says of a command that Ctrl-C ended.
  process.exitCode = error.code === "cancelled" ? 130 : 1;
}
