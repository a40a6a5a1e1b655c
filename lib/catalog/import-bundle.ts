/**
 * Importing a bundle: one transaction, which readers see whole or not at all. A dictionary that is there already with the same content is
 * left alone; the same weights with other content are replaced; other weights under the same name become a new version beside the old.
 */
import { createHash } from "node:crypto";
import type { PoolClient } from "pg";
import { FacetError } from "@/lib/core/errors";
import { type Bundle, type BundleTables, openBundle, openTables } from "@/lib/formats/bundle";
import { contentHash, invalidBundle, type ManifestDictionary, verifyFiles } from "@/lib/formats/manifest";
import type { StoredText } from "./activation-rows";
import { insertArrays, textArrayLiteral } from "./bulk";
import type { Database } from "./db";
import { removeImages, storedImages, writeImage } from "./image-files";
import { Importer, type ImportOptions } from "./import-dictionary";
import { clearStamp, writeStamp } from "./import-stamp";
import { dropPartitions } from "./partitions";

export interface ImportResult {
  dictionaries: {
    ref: string;
    sha256: string;
    /** `unchanged`: it was there already; `replaced`: same weights, other content; `added`: new. */
    outcome: "unchanged" | "replaced" | "added";
  }[];
  /** Image files written. */
  images: number;
  rows: number;
}

interface Existing {
  id: number;
  content_sha256: string;
  imported_at: string;
}

/** What browsers show and nothing runs. */
const mimes = new Set(["image/webp", "image/png", "image/jpeg"]);

const refOf = (bundle: Bundle, entry: ManifestDictionary) => `${bundle.manifest.model.id}/${entry.id}`;

async function findExisting(
  query: (sql: string, values: unknown[]) => Promise<Existing[]>,
  bundle: Bundle,
  entry: ManifestDictionary,
): Promise<Existing | undefined> {
  const rows = await query(
    `SELECT d.id, d.content_sha256, d.imported_at::text FROM dictionary d JOIN model m ON m.id = d.model_id
     WHERE m.slug = $1 AND m.sha256 = $2 AND d.name = $3 AND d.sha256 = $4`,
    [bundle.manifest.model.id, bundle.manifest.model.sha256, entry.id, entry.sha256],
  );
  return rows[0];
}

/** Whether every dictionary of the bundle is in the catalogue as it is, with every image on disk. */
async function isPresent(db: Database, bundle: Bundle): Promise<boolean> {
  for (const entry of bundle.manifest.dictionaries) {
    const existing = await findExisting((sql, values) => db.rows(sql, values), bundle, entry);
    if (existing?.content_sha256 !== contentHash(bundle.manifest, entry)) return false;
  }
  const files = await storedImages(db.imagesDir);
  const known = await db.rows<{ sha256: string }>("SELECT sha256 FROM image");
  return known.every((image) => files.has(image.sha256));
}

/**
 * Imports the bundle in `folder`. Throws `bundle_invalid` (naming file, column and remedy) with nothing written, and `cancelled` when the
 * signal is aborted, with the catalogue as it was.
 */
export async function importBundle(db: Database, folder: string, options: ImportOptions = {}): Promise<ImportResult> {
  const bundle = await openBundle(folder);
  if (await isPresent(db, bundle)) {
    const unchanged = bundle.manifest.dictionaries.map((entry) => ({
      ref: refOf(bundle, entry),
      sha256: entry.sha256,
      outcome: "unchanged" as const,
    }));
    const result: ImportResult = { dictionaries: unchanged, images: 0, rows: 0 };
    await note(db, folder, result);
    return result;
  }
  await clearStamp(db.stampFile);
  options.onProgress?.({ stage: "checking files", done: 0, total: Object.keys(bundle.manifest.files).length, rowsPerSecond: 0 });
  await verifyFiles(folder, bundle.manifest);
  const tables = await openTables(bundle);
  const importer = new Importer(tables, options);
  let result: ImportResult;
  try {
    result = await db.transaction(async (client) => {
      // Two imports at once would make each other's rows; the second waits.
      await client.query("SELECT pg_advisory_xact_lock(hashtext('facet import'))");
      const written = new Set<string>();
      try {
        const dictionaries = await importTables(client, bundle, tables, importer, db.imagesDir, written);
        options.signal?.throwIfAborted();
        return { dictionaries, images: written.size, rows: importer.rows };
      } catch (error) {
        // While the lock is held: the next import would count on these files.
        await removeImages(db.imagesDir, written);
        throw error;
      }
    });
  } catch (error) {
    throw asImportError(error, options.signal);
  }
  await note(db, folder, result);
  return result;
}

/** Everything of a bundle, on a connection that is in a transaction. */
async function importTables(
  client: PoolClient,
  bundle: Bundle,
  tables: BundleTables,
  importer: Importer,
  imagesDir: string,
  written: Set<string>,
): Promise<ImportResult["dictionaries"]> {
  const images = await importImages(client, tables, imagesDir, written, importer);
  const texts = await importTexts(client, tables, images, importer);
  const modelId = await importModel(client, bundle);
  const dictionaries: ImportResult["dictionaries"] = [];
  for (const dictionary of tables.dictionaries) {
    const { entry } = dictionary;
    const content = contentHash(bundle.manifest, entry);
    const existing = await findExisting(async (sql, values) => (await client.query<Existing>(sql, values)).rows, bundle, entry);
    const said = { ref: refOf(bundle, entry), sha256: entry.sha256 };
    if (existing?.content_sha256 === content) {
      dictionaries.push({ ...said, outcome: "unchanged" });
      continue;
    }
    if (existing) await client.query("DELETE FROM dictionary WHERE id = $1", [existing.id]);
    // A version keeps its place among the others: an old one with a better explanation does not become the latest.
    const importedAt = existing?.imported_at ?? null;
    await importer.importDictionary(client, { ...dictionary, bundle, modelId, ref: said.ref, content, importedAt, images, texts });
    // Last, because readers of the old rows wait from here to the end.
    if (existing) await dropPartitions(client, existing.id);
    dictionaries.push({ ...said, outcome: existing ? "replaced" : "added" });
  }
  return dictionaries;
}

/** Notes a finished import for the next start; without the note that start only takes longer. */
async function note(db: Database, folder: string, result: ImportResult): Promise<void> {
  const rows = await db.rows<{ images: number }>("SELECT count(*)::int AS images FROM image");
  await writeStamp(db.stampFile, folder, result, rows[0]?.images ?? 0).catch(() => {});
}

function asImportError(error: unknown, signal?: AbortSignal): unknown {
  if (error instanceof FacetError) return error;
  if (signal?.aborted) {
    return new FacetError("cancelled", "The import was stopped; the catalogue is as it was before.", {
      fix: "Run the import again.",
      cause: error,
    });
  }
  const { code, detail, table } = error as { code?: string; detail?: string; table?: string };
  if (code === "23505") return invalidBundle(`Two rows of the bundle have the same key (${table}: ${detail}).`, undefined, error);
  if (code?.startsWith("23") || code?.startsWith("22")) {
    return invalidBundle(`A row of the bundle cannot be stored (${table ?? "value"}: ${(error as Error).message}).`, undefined, error);
  }
  if (code === "ENOSPC" || code === "53100") {
    return new FacetError("internal", "The disk is full; the catalogue is as it was before.", {
      fix: "Free some space and import again.",
      cause: error,
    });
  }
  return error;
}

async function importModel(client: PoolClient, { manifest: { model } }: Bundle): Promise<number> {
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO model (slug, name, sha256, image_size, grid_rows, grid_cols) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (slug, sha256) DO UPDATE SET name = excluded.name, image_size = excluded.image_size,
       grid_rows = excluded.grid_rows, grid_cols = excluded.grid_cols
     RETURNING id`,
    [model.id, model.name, model.sha256, model.image_size, model.grid.rows, model.grid.cols],
  );
  return (rows[0] as { id: number }).id;
}

/** Stores the images and returns their ids by hash. Files that are not there yet are written and noted in `written`. */
async function importImages(
  client: PoolClient,
  tables: BundleTables,
  imagesDir: string,
  written: Set<string>,
  importer: Importer,
): Promise<Map<string, number>> {
  const ids = new Map<string, number>();
  const seen = new Set<string>();
  const present = await storedImages(imagesDir);
  for await (const batch of importer.read("images", tables.images, 256)) {
    for (const image of batch) {
      if (createHash("sha256").update(image.bytes).digest("hex") !== image.sha256) {
        throw invalidBundle(`${tables.images.file}: an image's bytes do not have the hash ${image.sha256} that its row gives.`);
      }
      if (seen.has(image.sha256)) throw invalidBundle(`${tables.images.file} holds the image ${image.sha256} twice.`);
      seen.add(image.sha256);
      if (!mimes.has(image.mime) || image.width < 1 || image.height < 1) {
        throw invalidBundle(
          `${tables.images.file}: the image ${image.sha256} is ${image.mime.slice(0, 40)} of ${image.width} × ${image.height} pixels.`,
          `Images are ${[...mimes].join(", ")} with their size in pixels.`,
        );
      }
      if (present.has(image.sha256)) continue;
      written.add(image.sha256);
      await writeImage(imagesDir, image.sha256, image.bytes);
    }
    const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((image) => image[key]);
    await insertArrays(
      client,
      "image",
      {
        sha256: ["text", column("sha256")],
        mime: ["text", column("mime")],
        width: ["int", column("width")],
        height: ["int", column("height")],
        bytes: ["int", batch.map((image) => image.bytes.byteLength)],
        source: ["text", column("source")],
        caption: ["text", column("caption")],
      },
      "ON CONFLICT (sha256) DO UPDATE SET source = excluded.source, caption = excluded.caption",
    );
    const { rows } = await client.query<{ id: number; sha256: string }>("SELECT id, sha256 FROM image WHERE sha256 = ANY($1)", [
      column("sha256"),
    ]);
    for (const row of rows) ids.set(row.sha256, row.id);
  }
  return ids;
}

/** Stores the token strings and returns them by the bundle's own numbers. */
async function importTexts(
  client: PoolClient,
  tables: BundleTables,
  images: Map<string, number>,
  importer: Importer,
): Promise<Map<number, StoredText>> {
  const stored = new Map<number, StoredText>();
  const numbers = new Set<number>();
  for await (const batch of importer.read("texts", tables.texts, 2_048)) {
    const hashes = new Map<string, (typeof batch)[number]>();
    const hashOf = new Map<(typeof batch)[number], string>();
    for (const text of batch) {
      if (numbers.has(text.id)) throw invalidBundle(`${tables.texts.file} holds the text ${text.id} twice.`);
      numbers.add(text.id);
      if (text.image !== null && !images.has(text.image)) {
        throw invalidBundle(`${tables.texts.file}: text ${text.id} names the image ${text.image}, which images.parquet lacks.`);
      }
      const hash = createHash("sha256")
        .update(JSON.stringify([text.tokens, text.image]))
        .digest("hex");
      hashes.set(hash, text);
      hashOf.set(text, hash);
    }
    await client.query(
      `INSERT INTO text_sequence (sha256, tokens, image_id)
       SELECT sha256, tokens::text[], image_id FROM unnest($1::text[], $2::text[], $3::int[]) AS row (sha256, tokens, image_id)
       ON CONFLICT (sha256) DO NOTHING`,
      [
        [...hashes.keys()],
        [...hashes.values()].map((text) => textArrayLiteral(text.tokens)),
        [...hashes.values()].map((text) => (text.image === null ? null : images.get(text.image))),
      ],
    );
    const { rows } = await client.query<{ id: number; sha256: string }>("SELECT id, sha256 FROM text_sequence WHERE sha256 = ANY($1)", [
      [...hashes.keys()],
    ]);
    const idByHash = new Map(rows.map((row) => [row.sha256, row.id]));
    for (const [text, hash] of hashOf) stored.set(text.id, { id: idByHash.get(hash) as number, length: text.tokens.length });
  }
  return stored;
}
