import path from "node:path";
import type { ImportProgress } from "@/lib/catalog/import-dictionary";
import type { ImportResult } from "@/lib/catalog/import-source";
import { knownUnchanged } from "@/lib/catalog/import-stamp";

const number = new Intl.NumberFormat("en");

/** One line that rewrites itself on a terminal; a line a stage elsewhere. */
function progressPrinter(): { show(progress: ImportProgress): void; end(): void } {
  const live = process.stdout.isTTY;
  let stage = "";
  let shown = 0;
  return {
    show(progress) {
      const now = Date.now();
      if (progress.stage === stage && (!live || now - shown < 100)) return;
      const line = `  ${progress.stage}: ${number.format(progress.done)} of ${number.format(progress.total)}${
        progress.rowsPerSecond ? `, ${number.format(progress.rowsPerSecond)} rows/s` : ""
      }`;
      if (live) process.stdout.write(`\r\x1b[2K${line}`);
      else console.log(line);
      stage = progress.stage;
      shown = now;
    },
    end() {
      if (live && stage) process.stdout.write("\r\x1b[2K");
    },
  };
}

function report(result: ImportResult): void {
  for (const dictionary of result.dictionaries) {
    const said = { unchanged: "is already there", replaced: "replaced", added: "imported" }[dictionary.outcome];
    console.log(`${dictionary.ref} (${dictionary.sha256.slice(0, 12)}) ${said}`);
  }
}

/** Imports one bundle, applying pending migrations first. What is there already is not even opened. */
export async function importCommand(folder: string, { quiet }: { quiet: boolean }): Promise<void> {
  const started = performance.now();
  const bundle = path.resolve(folder);
  const known = await knownUnchanged(bundle);
  if (known) {
    if (!quiet) report(known);
    return;
  }
  const [{ openDatabase }, { importBundle }] = await Promise.all([import("@/lib/catalog/db"), import("@/lib/catalog/import-bundle")]);
  const stop = new AbortController();
  // The first interrupt ends the import cleanly; a second one ends the process.
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  process.once("SIGTERM", interrupt);
  const printer = quiet ? undefined : progressPrinter();
  const db = await openDatabase({ migrate: "apply" });
  try {
    const result = await importBundle(db, bundle, { onProgress: printer?.show, signal: stop.signal });
    printer?.end();
    if (!quiet) report(result);
    if (result.rows && !quiet) {
      const seconds = (performance.now() - started) / 1_000;
      console.log(`${number.format(result.rows)} rows and ${number.format(result.images)} new images in ${seconds.toFixed(1)} s`);
    }
    await (await import("./embed")).embedAfterImport(db, { quiet, signal: stop.signal });
  } finally {
    printer?.end();
    await db.close();
    process.off("SIGINT", interrupt);
    process.off("SIGTERM", interrupt);
  }
}
