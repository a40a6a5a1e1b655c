/** Importing a bundle by its folder, and noting it for the next start. */
import { bundleSource } from "@/lib/formats/bundle-source";
import type { Database } from "./db";
import type { ImportOptions } from "./import-progress";
import { type ImportResult, importSource } from "./import-source";
import { writeStamp } from "./import-stamp";

/**
 * Imports the bundle in `folder`. Throws `bundle_invalid` (naming file, column and remedy) with nothing written, and `cancelled` when the
 * signal is aborted, with the catalogue as it was.
 */
export async function importBundle(db: Database, folder: string, options: ImportOptions = {}): Promise<ImportResult> {
  const result = await importSource(db, await bundleSource(folder), options);
  await noteImport(db, folder, result);
  return result;
}

/** Notes a finished import for the next start; without the note that start only takes longer. */
export async function noteImport(db: Database, folder: string, result: ImportResult): Promise<void> {
  const rows = await db.rows<{ images: number }>("SELECT count(*)::int AS images FROM image");
  await writeStamp(db.stampFile, folder, result, rows[0]?.images ?? 0).catch(() => {});
}
