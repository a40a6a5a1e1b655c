import path from "node:path";
import type { Database } from "@/lib/catalog/db";
import type { ImportResult } from "@/lib/catalog/import-source";
import { knownUnchanged } from "@/lib/catalog/import-stamp";
import { FacetError } from "@/lib/core/errors";
import type { ReadOptions, Source } from "@/lib/formats/source";
import { progressPrinter } from "./progress";
import { splitVersion } from "./version-ref";

export interface ImportCommandOptions {
  quiet: boolean;
  model?: string;
  name?: string;
  hook?: string;
  grid?: string;
  tokenizer?: string;
  into?: string;
}

const number = new Intl.NumberFormat("en");

function report(result: ImportResult): void {
  for (const { ref, version, outcome, beside } of result.dictionaries) {
    const said = { unchanged: "is already there", extended: "now has what was added", added: "imported" }[outcome];
    console.log(`${ref} (${version.slice(0, 12)}) ${said}`);
    const [before, ...older] = beside;
    if (outcome !== "added" || before === undefined) continue;
    const more = older.length ? `, as do ${older.length} older ones` : "";
    console.log(
      `The version before, ${before.slice(0, 12)}, stays with its rows, and links pinned to it still open${more}. Drop it with: npm run facet drop ${ref}@${before.slice(0, 12)}`,
    );
  }
}

/** What the dictionary that is added to says of itself. */
async function readInto(db: Database, named: string) {
  const { locateVersion } = await import("@/lib/catalog/dictionaries");
  const { ref, version } = splitVersion(named);
  const { id, dictionary } = await locateVersion(db, ref, version);
  const options: ReadOptions = {
    model: dictionary.model.id,
    name: dictionary.id,
    hook: dictionary.hook,
    into: { ref, sha256: dictionary.sha256, num_latents: dictionary.numLatents },
  };
  return { target: { id, ref }, options };
}

async function importPaths(db: Database, paths: string[], options: ImportCommandOptions, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const [{ openSource }, { importSource }, { finishImport }, { readStories }, { bundleFolder }] = await Promise.all([
    import("@/lib/formats/readers"),
    import("@/lib/catalog/import-source"),
    import("@/lib/catalog/import-bundle"),
    import("@/lib/formats/stories"),
    import("@/lib/formats/bundle-source"),
  ]);
  const { model, name, hook, grid, tokenizer, quiet } = options;
  const into = options.into === undefined ? undefined : await readInto(db, options.into);
  const source: Source = await openSource(paths, { model, name, hook, grid, tokenizer, signal, ...into?.options });
  if (!quiet) for (const sentence of source.found) console.log(sentence);
  const bundle = source.format === "facet-bundle/1" ? bundleFolder(paths[0] ?? "") : null;
  const stories = bundle ? await readStories(bundle) : null;
  const printer = quiet ? undefined : progressPrinter();
  let result: ImportResult;
  try {
    result = await importSource(db, source, { onProgress: printer?.show, signal, into: into?.target });
  } finally {
    printer?.end();
  }
  if (bundle) await finishImport(db, bundle, result, stories);
  if (quiet) return;
  report(result);
  if (result.rows) {
    const seconds = (performance.now() - started) / 1_000;
    const rate = number.format(Math.round(result.rows / seconds));
    console.log(
      `${number.format(result.rows)} rows and ${number.format(result.images)} new images in ${seconds.toFixed(1)} s (${rate} rows/s)`,
    );
  }
}

/** Imports what lies at the paths, applying pending migrations first. A bundle that is there already is not even opened. */
export async function importCommand(given: string[], options: ImportCommandOptions): Promise<void> {
  const paths = given.map((one) => path.resolve(one));
  const { quiet: _, ...asked } = options;
  const plain = paths.length === 1 && Object.values(asked).every((value) => value === undefined);
  const known = plain && paths[0] ? await knownUnchanged(paths[0]) : null;
  if (known) {
    if (!options.quiet) report(known);
    return;
  }
  const { openDatabase } = await import("@/lib/catalog/db");
  const stop = new AbortController();
  // The first interrupt ends the import cleanly; a second one ends the process, which leaves the catalogue as it was too.
  const interrupt = () => {
    if (!stop.signal.aborted) console.error("Stopping; once more ends at once.");
    stop.abort();
  };
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  let db: Database | undefined;
  try {
    db = await openDatabase({ migrate: "apply" });
    stop.signal.throwIfAborted();
    await importPaths(db, paths, options, stop.signal);
    await (await import("./embed")).embedAfterImport(db, { quiet: options.quiet, signal: stop.signal });
  } catch (error) {
    if (error instanceof FacetError || !stop.signal.aborted) throw error;
    throw new FacetError("cancelled", "The import was stopped; the catalogue is as it was before.", {
      fix: "Run the import again.",
      cause: error,
    });
  } finally {
    await db?.close();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
