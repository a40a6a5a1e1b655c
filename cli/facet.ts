#!/usr/bin/env -S npx tsx
/** The `facet` command: thin over lib. */
import { Command } from "commander";
import { FacetError } from "@/lib/core/errors";

const program = new Command("facet")
  .description("Facet: an explorer for the features that sparse autoencoders find inside multimodal models")
  .showHelpAfterError();

program
  .command("import")
  .description("import a bundle into the catalogue; one that is there already changes nothing")
  .argument("<path>", "folder of a bundle (the one with manifest.json)")
  .option("--quiet", "say only what went wrong", false)
  .action(async (folder: string, options: { quiet: boolean }) => (await import("./commands/import")).importCommand(folder, options));

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
  process.exitCode = 1;
}
