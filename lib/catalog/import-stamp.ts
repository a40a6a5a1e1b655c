/**
 * A note beside the embedded database of the bundles that it is known to hold whole, so that importing one of them again, as every start
 * does, need not open the database. It lies inside the database's folder and goes with it. Whatever changes dictionaries clears it first.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";
import { storiesName } from "@/lib/formats/stories";
import { storedImages } from "./image-files";
import type { ImportedDictionary, ImportResult } from "./import-source";
import { knownMigrations } from "./migrations";

interface Stamp {
  migrations: string[];
  /** Image files of the whole catalogue. */
  images: number;
  /** Hash of a bundle's manifest and stories → its dictionaries. */
  bundles: Record<string, Omit<ImportedDictionary, "outcome">[]>;
}

/** Name of the note inside the database's folder. */
export const stampName = "FACET_IMPORTS.json";

/** Of the manifest and of the stories beside it, which it does not list. */
async function manifestHash(bundle: string): Promise<string> {
  const hash = createHash("sha256").update(await readFile(path.join(bundle, "manifest.json")));
  const stories = await readFile(path.join(bundle, storiesName)).catch(() => null);
  return (stories ? hash.update(stories) : hash).digest("hex");
}

async function readStamp(file: string): Promise<Stamp | null> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Stamp;
  } catch {
    // None, or a torn one: the database itself is asked.
    return null;
  }
}

/** The result of importing `bundle` into the default catalogue, where the note says that it would change nothing; else null. */
export async function knownUnchanged(bundle: string): Promise<ImportResult | null> {
  const folder = path.join(env.dataDir, "catalogue");
  if (env.databaseUrl || !existsSync(path.join(folder, "FACET_READY"))) return null;
  const stamp = await readStamp(path.join(folder, stampName));
  if (!stamp || (await knownMigrations()).join() !== stamp.migrations.join()) return null;
  const dictionaries = stamp.bundles[await manifestHash(bundle).catch(() => "")];
  if (!dictionaries || (await storedImages(path.join(env.dataDir, "images"))).size < stamp.images) return null;
  return { dictionaries: dictionaries.map((dictionary) => ({ ...dictionary, outcome: "unchanged" })), images: 0, rows: 0 };
}

export async function clearStamp(file: string | null): Promise<void> {
  if (file) await rm(file, { force: true });
}

/** Notes that `bundle` is in the catalogue whole, beside what is noted already. */
export async function writeStamp(file: string | null, bundle: string, result: ImportResult, images: number): Promise<void> {
  if (!file) return;
  const migrations = await knownMigrations();
  const old = await readStamp(file);
  const bundles = old && old.migrations.join() === migrations.join() ? old.bundles : {};
  bundles[await manifestHash(bundle)] = result.dictionaries.map(({ outcome, ...dictionary }) => dictionary);
  const stamp: Stamp = { migrations, images, bundles };
  await writeFile(file, JSON.stringify(stamp));
}
