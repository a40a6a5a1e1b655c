/** The image files that an import wrote, noted on disk, to be taken back when it fails: by itself, or by the next import where it was killed. */
import { randomUUID } from "node:crypto";
import { appendFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { PoolClient, QueryResultRow } from "pg";
import type { Database } from "./db";
import { imagePath, writeImage } from "./image-files";
import { ImageList, removeUnshared } from "./image-owners";

/** Hashes that are looked up in one statement. */
const sweptAtOnce = 20_000;

const notePrefix = (owner: string) => `.import-${owner}-`;

async function notedIn(file: string): Promise<string[]> {
  const noted = await readFile(file, "utf8").catch(() => "");
  return noted.split("\n").filter((line) => /^[0-9a-f]{64}$/.test(line));
}

export class WrittenImages {
  count = 0;
  readonly #note: string;
  readonly #list: ImageList;

  /** `owner`: the catalogue's name (`Database.imageOwner`). */
  constructor(
    private readonly imagesDir: string,
    private readonly owner: string,
  ) {
    this.#note = path.join(/* turbopackIgnore: true */ imagesDir, `${notePrefix(owner)}${randomUUID()}`);
    this.#list = new ImageList(imagesDir, owner);
  }

  /** Tells other catalogues that this one will show these pictures, before it counts on their files. */
  own(hashes: string[]): Promise<void> {
    return this.#list.add(hashes);
  }

  async write(sha256: string, bytes: Uint8Array): Promise<void> {
    await mkdir(this.imagesDir, { recursive: true });
    // Noted first: a file without a note would stay for ever.
    await appendFile(this.#note, `${sha256}\n`);
    this.count++;
    await writeImage(this.imagesDir, sha256, bytes);
  }

  async takeBack(): Promise<void> {
    await this.#list.takeBack();
    await removeUnshared(this.imagesDir, this.owner, await notedIn(this.#note));
    await this.forget();
  }

  async forget(): Promise<void> {
    await rm(this.#note, { force: true });
  }
}

/**
 * Takes back what imports into this database wrote that were killed. Called while the lock on imports is held: a note that is there then is
 * nobody's who lives.
 */
export async function sweepKilled(client: PoolClient, db: Database): Promise<void> {
  const owner = await db.imageOwner();
  const names = await readdir(/* turbopackIgnore: true */ db.imagesDir).catch(() => []);
  const notes = names.filter((one) => one.startsWith(notePrefix(owner)));
  for (const name of notes) {
    const note = path.join(/* turbopackIgnore: true */ db.imagesDir, name);
    const noted = await notedIn(note);
    for (let i = 0; i < noted.length; i += sweptAtOnce) {
      const some = noted.slice(i, i + sweptAtOnce);
      // Where it was killed after its commit, they are the catalogue's.
      const { rows } = await client.query<{ sha256: string }>("SELECT sha256 FROM image WHERE sha256 = ANY($1)", [some]);
      const kept = new Set(rows.map((row) => row.sha256));
      await removeUnshared(
        db.imagesDir,
        owner,
        some.filter((hash) => !kept.has(hash)),
      );
    }
    for (const hash of noted.slice(-1)) await removeDrafts(db.imagesDir, hash);
    await rm(note, { force: true });
  }
  if (notes.length === 0) return;
  const rows: Database["rows"] = async <R extends QueryResultRow>(sql: string, values: unknown[] = []) =>
    (await client.query<R>(sql, values)).rows;
  await new ImageList(db.imagesDir, owner).rewrite({ rows });
}

/** What was being written when the process was killed. */
async function removeDrafts(imagesDir: string, sha256: string): Promise<void> {
  const folder = path.dirname(imagePath(imagesDir, sha256));
  for (const name of await readdir(folder).catch(() => [])) {
    if (name.startsWith(`${sha256}.`)) await rm(path.join(folder, name), { force: true });
  }
}
