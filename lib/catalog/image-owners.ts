/**
 * Which catalogues show the pictures of a folder. Several may lie over one (the embedded one and a server's, by turns), and none can ask
 * another what it shows; so each keeps a list of its pictures beside them, `.catalogues/<its name>`, a hash a line, written before it counts
 * on a file. A file goes when the catalogue that lets go of it is the last one that lists it.
 */
import { randomUUID } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { appendFile, mkdir, readdir, rename, rm, stat, truncate } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Database } from "./db";
import { removeImages } from "./image-files";

const listsDir = (imagesDir: string) => path.join(/* turbopackIgnore: true */ imagesDir, ".catalogues");
const isList = (name: string) => /^[a-z0-9-]+$/.test(name);

export interface OtherCatalogue {
  file: string;
  /** When it last took pictures in or let some go. */
  changed: Date;
}

/** The other catalogues over the folder. */
export async function otherCatalogues(imagesDir: string, own: string): Promise<OtherCatalogue[]> {
  const folder = listsDir(imagesDir);
  const names = (await readdir(folder).catch(() => [])).filter((name) => isList(name) && name !== own).sort();
  return Promise.all(
    names.map(async (name) => {
      const file = path.join(folder, name);
      return { file, changed: (await stat(file)).mtime };
    }),
  );
}

/** Removes the files that no other catalogue lists. */
export async function removeUnshared(
  imagesDir: string,
  own: string,
  hashes: readonly string[],
): Promise<{ removed: number; shared: number }> {
  const going = new Set(hashes);
  for (const { file } of going.size ? await otherCatalogues(imagesDir, own) : []) {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) going.delete(line);
  }
  await removeImages(imagesDir, going);
  return { removed: going.size, shared: new Set(hashes).size - going.size };
}

/** One catalogue's list. */
export class ImageList {
  readonly #file: string;
  /** Bytes of the list before this object added to it. */
  #before: number | null = null;

  constructor(
    readonly imagesDir: string,
    own: string,
  ) {
    this.#file = path.join(listsDir(imagesDir), own);
  }

  async exists(): Promise<boolean> {
    return (await this.#size()) !== null;
  }

  #size(): Promise<number | null> {
    return stat(this.#file).then(
      ({ size }) => size,
      () => null,
    );
  }

  async add(hashes: readonly string[]): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true });
    this.#before ??= (await this.#size()) ?? 0;
    await appendFile(this.#file, hashes.map((hash) => `${hash}\n`).join(""));
  }

  /** Forgets what was added. */
  async takeBack(): Promise<void> {
    if (this.#before !== null) await truncate(this.#file, this.#before);
    this.#before = null;
  }

  /** Writes the list anew, of the catalogue's rows. */
  async rewrite(db: Pick<Database, "rows">): Promise<void> {
    await mkdir(path.dirname(this.#file), { recursive: true });
    const draft = `${this.#file}.${randomUUID()}`;
    try {
      await pipeline(Readable.from(hashLines(db), { objectMode: false }), createWriteStream(draft));
      await rename(draft, this.#file);
      this.#before = null;
    } finally {
      await rm(draft, { force: true });
    }
  }

  /** As `rewrite`, after the rows were changed for good: a list that could not be written names too many pictures, which loses none. */
  async renew(db: Pick<Database, "rows">): Promise<void> {
    await this.rewrite(db).catch(() => {});
  }
}

/** A part of all hashes at a time: there may be millions. */
async function* hashLines(db: Pick<Database, "rows">): AsyncGenerator<string> {
  let after = "";
  for (;;) {
    const rows = await db.rows<{ sha256: string }>("SELECT sha256 FROM image WHERE sha256 > $1 ORDER BY sha256 LIMIT 20000", [after]);
    if (rows.length === 0) return;
    yield rows.map((row) => `${row.sha256}\n`).join("");
    after = rows.at(-1)?.sha256 ?? "";
  }
}
