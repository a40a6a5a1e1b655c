/** A catalogue in memory and a bundle in a temporary folder, for tests. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Database, openDatabase } from "./db";
import { type ImportResult, importBundle } from "./import-bundle";
import { type TestBundleOptions, writeTestBundle } from "./test-bundle";

export interface TestCatalog {
  db: Database;
  /** Temporary folder of everything. */
  folder: string;
  /** Writes a bundle and imports it. */
  add(options?: TestBundleOptions): Promise<ImportResult & { bundle: string }>;
  close(): Promise<void>;
}

export async function openTestCatalog(): Promise<TestCatalog> {
  const folder = await mkdtemp(path.join(tmpdir(), "facet-catalog-"));
  const db = await openDatabase({ dataDir: null, imagesDir: path.join(folder, "images") });
  let bundles = 0;
  return {
    db,
    folder,
    async add(options) {
      const bundle = path.join(folder, `bundle-${bundles++}`);
      await writeTestBundle(bundle, options);
      return { ...(await importBundle(db, bundle)), bundle };
    },
    async close() {
      await db.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
