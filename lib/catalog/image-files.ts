/** Image files on disk, named by the SHA-256 of their bytes: `<images>/<first two digits>/<hash>`. */
import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Database } from "./db";

export function imagePath(imagesDir: string, sha256: string): string {
  return path.join(/* turbopackIgnore: true */ imagesDir, sha256.slice(0, 2), sha256);
}

/** Hashes of the files that are there. */
export async function storedImages(imagesDir: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const folder of await readdir(/* turbopackIgnore: true */ imagesDir).catch(() => [])) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const name of await readdir(path.join(/* turbopackIgnore: true */ imagesDir, folder)).catch(() => [])) {
      if (/^[0-9a-f]{64}$/.test(name)) found.add(name);
    }
  }
  return found;
}

/** Writes a file whole or not at all. */
export async function writeImage(imagesDir: string, sha256: string, bytes: Uint8Array): Promise<void> {
  const target = imagePath(imagesDir, sha256);
  await mkdir(path.dirname(target), { recursive: true });
  const draft = `${target}.${randomUUID().slice(0, 8)}`;
  try {
    await writeFile(draft, bytes);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export function readImage(imagesDir: string, sha256: string): Promise<Uint8Array> {
  return readFile(imagePath(imagesDir, sha256));
}

export async function removeImages(imagesDir: string, hashes: Iterable<string>): Promise<void> {
  for (const sha256 of hashes) await rm(imagePath(imagesDir, sha256), { force: true });
}

/** How many images of the catalogue have no file. A folder at a time: there may be millions. */
export async function missingImages(db: Pick<Database, "rows" | "imagesDir">): Promise<number> {
  let missing = 0;
  for (let i = 0; i < 256; i++) {
    const prefix = i.toString(16).padStart(2, "0");
    const rows = await db.rows<{ sha256: string }>("SELECT sha256 FROM image WHERE sha256 >= $1 AND sha256 < $2", [prefix, `${prefix}g`]);
    if (rows.length === 0) continue;
    const names = new Set(await readdir(path.join(/* turbopackIgnore: true */ db.imagesDir, prefix)).catch(() => []));
    for (const row of rows) if (!names.has(row.sha256)) missing++;
  }
  return missing;
}
