/**
 * The images and texts of an import, and their numbers in the database. What was seen is kept in tables of the session and looked up batch
 * by batch, so that memory does not grow with how many there are.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import type { PoolClient } from "pg";
import type { imageColumns, textColumns } from "@/lib/formats/bundle";
import { invalidBundle } from "@/lib/formats/manifest";
import type { Columns, Row, Table } from "@/lib/formats/parquet";
import type { ActivationRow } from "@/lib/formats/source";
import type { StoredText } from "./activation-rows";
import { type ColumnArrays, fillTable, insertArrays } from "./bulk";
import type { Database } from "./db";
import { imagePath } from "./image-files";
import type { WrittenImages } from "./written-images";

/** What browsers show and nothing runs. */
const mimes = new Set(["image/webp", "image/png", "image/jpeg"]);

/** Entries that a cache of numbers holds at most: some megabytes. */
const cacheSize = 50_000;

/** A table's batches with progress (import-dictionary.ts). */
export type ReadTable = <C extends Columns>(stage: string, table: Table<C>, size?: number) => AsyncGenerator<Row<C>[]>;

export class ImportMedia {
  readonly #images = new Map<string, number>();
  readonly #texts = new Map<number, StoredText>();

  constructor(
    private readonly client: PoolClient,
    private readonly db: Database,
    private readonly read: ReadTable,
    private readonly written: WrittenImages,
  ) {}

  #fill(table: string, columns: ColumnArrays): Promise<void> {
    return fillTable(this.client, this.db.kind, table, columns);
  }

  /** Stores the images; files that are not there yet are written. */
  async importImages(table: Table<typeof imageColumns>): Promise<void> {
    await this.client.query("CREATE TEMP TABLE staged_image (sha256 text PRIMARY KEY, id int NOT NULL) ON COMMIT DROP");
    for await (const batch of this.read("images", table, 256)) {
      const hashes = batch.map((image) => image.sha256);
      const twice = hashes.find((hash, i) => hashes.indexOf(hash) !== i) ?? [...(await this.#findImages(hashes)).keys()][0];
      if (twice) throw invalidBundle(`${table.file} holds the image ${twice} twice.`);
      await this.written.own(hashes);
      for (const image of batch) await this.#storeFile(table, image);
      const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((image) => image[key]);
      await insertArrays(
        this.client,
        "image",
        {
          sha256: ["text", hashes],
          mime: ["text", column("mime")],
          width: ["int", column("width")],
          height: ["int", column("height")],
          bytes: ["int", batch.map((image) => image.bytes.byteLength)],
          source: ["text", column("source")],
          caption: ["text", column("caption")],
        },
        "ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, caption = excluded.caption",
      );
      await this.client.query("INSERT INTO staged_image SELECT sha256, id FROM image WHERE sha256 = ANY($1)", [hashes]);
    }
  }

  async #storeFile(table: Table<typeof imageColumns>, image: Row<typeof imageColumns>): Promise<void> {
    if (createHash("sha256").update(image.bytes).digest("hex") !== image.sha256) {
      throw invalidBundle(`${table.file}: an image's bytes do not have the hash ${image.sha256} that its row gives.`);
    }
    if (!mimes.has(image.mime) || image.width < 1 || image.height < 1) {
      throw invalidBundle(
        `${table.file}: the image ${image.sha256} is ${image.mime.slice(0, 40)} of ${image.width} × ${image.height} pixels.`,
        `Images are ${[...mimes].join(", ")} with their size in pixels.`,
      );
    }
    const present = await access(imagePath(this.db.imagesDir, image.sha256), constants.R_OK).then(
      () => true,
      () => false,
    );
    if (!present) await this.written.write(image.sha256, image.bytes);
  }

  /** Stores the token strings, each once. */
  async importTexts(table: Table<typeof textColumns>): Promise<void> {
    await this.client.query(
      "CREATE TEMP TABLE staged_text (number bigint PRIMARY KEY, id int NOT NULL, length int NOT NULL) ON COMMIT DROP",
    );
    for await (const batch of this.read("texts", table, 1_024)) {
      const numbers = batch.map((text) => text.id);
      const twice = new Set(numbers).size < numbers.length ? numbers.find((number, i) => numbers.indexOf(number) !== i) : undefined;
      const again = twice ?? [...(await this.#findTexts(numbers)).keys()][0];
      if (again !== undefined) throw invalidBundle(`${table.file} holds the text ${again} twice.`);
      const images = await this.#findImages([...new Set(batch.flatMap((text) => text.image ?? []))]);
      const byHash = new Map<string, (typeof batch)[number]>();
      const hashes = batch.map((text) => {
        if (text.image !== null && !images.has(text.image)) {
          throw invalidBundle(`${table.file}: text ${text.id} names the image ${text.image}, which images.parquet lacks.`);
        }
        const hash = createHash("sha256")
          .update(JSON.stringify([text.tokens, text.image]))
          .digest("hex");
        byHash.set(hash, text);
        return hash;
      });
      const distinct = [...byHash.values()];
      await insertArrays(
        this.client,
        "text_sequence",
        {
          sha256: ["text", [...byHash.keys()]],
          tokens: ["text[]", distinct.map((text) => text.tokens)],
          image_id: ["int", distinct.map((text) => (text.image === null ? null : images.get(text.image)))],
        },
        "ON CONFLICT (sha256) DO NOTHING",
      );
      const { rows } = await this.client.query<{ id: number; sha256: string }>(
        "SELECT id, sha256 FROM text_sequence WHERE sha256 = ANY($1)",
        [[...byHash.keys()]],
      );
      const idOf = new Map(rows.map((row) => [row.sha256, row.id]));
      await this.#fill("staged_text", {
        number: ["bigint", numbers],
        id: ["int", hashes.map((hash) => idOf.get(hash))],
        length: ["int", batch.map((text) => text.tokens.length)],
      });
    }
  }

  async #findImages(hashes: string[]): Promise<Map<string, number>> {
    const { rows } = await this.client.query<{ sha256: string; id: number }>("SELECT sha256, id FROM staged_image WHERE sha256 = ANY($1)", [
      hashes,
    ]);
    return new Map(rows.map((row) => [row.sha256, row.id]));
  }

  async #findTexts(numbers: number[]): Promise<Map<number, StoredText>> {
    const { rows } = await this.client.query<{ number: number; id: number; length: number }>(
      "SELECT number::float8 AS number, id, length FROM staged_text WHERE number = ANY($1::bigint[])",
      [numbers],
    );
    return new Map(rows.map(({ number, ...text }) => [number, text]));
  }

  /** The numbers of what a batch of examples lies on; what the import lacks is not among them. */
  async numbersFor(batch: ActivationRow[]): Promise<{ images: Map<string, number>; texts: Map<number, StoredText> }> {
    const images = await known(this.#images, new Set(batch.flatMap((row) => row.image ?? [])), (some) => this.#findImages(some));
    const texts = await known(this.#texts, new Set(batch.flatMap((row) => row.text ?? [])), (some) => this.#findTexts(some));
    return { images, texts };
  }
}

/** What a cache knows of the keys, after asking for what it does not. A full cache starts anew. */
async function known<K, V>(cache: Map<K, V>, keys: Set<K>, find: (keys: K[]) => Promise<Map<K, V>>): Promise<Map<K, V>> {
  const unknown = [...keys].filter((key) => !cache.has(key));
  if (unknown.length === 0) return cache;
  const found = await find(unknown);
  if (cache.size + found.size > cacheSize) {
    const all = new Map(found);
    for (const key of keys) {
      const value = cache.get(key);
      if (value !== undefined) all.set(key, value);
    }
    cache.clear();
    return all;
  }
  for (const [key, value] of found) cache.set(key, value);
  return cache;
}
