/** Importing a bundle by its folder, and noting it for the next start. */
import type { StoriesFile } from "@/lib/core/story";
import { bundleSource } from "@/lib/formats/bundle-source";
import { readStories } from "@/lib/formats/stories";
import type { Database } from "./db";
import type { ImportOptions } from "./import-progress";
import { type ImportResult, importSource } from "./import-source";
import { writeStamp } from "./import-stamp";
import { keepStories } from "./stories";

/**
 * Imports the bundle in `folder`. Throws `bundle_invalid` (naming file, column and remedy) with nothing written, and `cancelled` when the
 * signal is aborted, with the catalogue as it was.
 */
export async function importBundle(db: Database, folder: string, options: ImportOptions = {}): Promise<ImportResult> {
  const stories = await readStories(folder);
  const result = await importSource(db, await bundleSource(folder), options);
  await finishImport(db, folder, result, stories);
  return result;
}

/** Keeps the stories of an imported bundle, and notes it for the next start; without the note that start only takes longer. */
export async function finishImport(db: Database, folder: string, result: ImportResult, stories: StoriesFile | null): Promise<void> {
  if (stories) await keepStories(db, stories);
  const rows = await db.rows<{ images: number }>("SELECT count(*)::int AS images FROM image");
  await writeStamp(db.stampFile, folder, result, rows[0]?.images ?? 0).catch(() => {});
}
