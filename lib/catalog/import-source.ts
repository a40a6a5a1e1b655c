/**
 * The one importer: whatever format was read, its tables go into the catalogue in one transaction, which readers see whole or not at all. A
 * dictionary that is there already with the same content is left alone; other content of the same weights, and other weights under the
 * same name, become a new version beside the old, so that pinned links keep what they name. Only `--into` adds to a version in place.
 */
import { statfs } from "node:fs/promises";
import path from "node:path";
import type { PoolClient } from "pg";
import { FacetError } from "@/lib/core/errors";
import { invalidBundle } from "@/lib/formats/manifest";
import { invalidFile, type Source, type SourceDictionary } from "@/lib/formats/source";
import type { Database } from "./db";
import { missingImages } from "./image-files";
import { ImageList } from "./image-owners";
import { Importer } from "./import-dictionary";
import { lockImports } from "./import-lock";
import { ImportMedia } from "./import-media";
import type { ImportOptions } from "./import-progress";
import { clearStamp } from "./import-stamp";
import { interruptOn } from "./interrupt";
import { dropPartitions } from "./partitions";
import { contentVersion } from "./versions";
import { sweepKilled, WrittenImages } from "./written-images";

export interface ImportedDictionary {
  ref: string;
  /** Of the weights. */
  sha256: string;
  /** The version's key (versions.ts). */
  version: string;
  /** `unchanged`: it was there already; `extended`: files were added to it (`--into`); `added`: new. */
  outcome: "unchanged" | "extended" | "added";
  /** Keys of the other versions that stay beside it, the latest first. */
  beside: string[];
}

export interface ImportResult {
  dictionaries: ImportedDictionary[];
  /** Image files written. */
  images: number;
  rows: number;
}

/** A dictionary that files are added to, as its row has it (`--into`). */
export interface Target {
  id: number;
  ref: string;
}

interface Existing {
  id: number;
  ref: string;
  model_id: number;
  name: string;
  sha256: string;
  version: string;
  num_latents: number;
  content_sha256: string;
  added_contents: string[];
}

type Query = <R extends object>(sql: string, values: unknown[]) => Promise<R[]>;

const columns = `d.id, d.ref, d.model_id, d.name, d.sha256, d.version, d.num_latents, d.content_sha256, d.added_contents`;

/** The version that the import would change nothing of, or the one that it adds to. */
async function findExisting(query: Query, source: Source, dictionary: SourceDictionary, into?: Target): Promise<Existing | undefined> {
  const { entry, content } = dictionary;
  if (into) return (await query<Existing>(`SELECT ${columns} FROM dictionary d WHERE d.id = $1`, [into.id]))[0];
  const rows = await query<Existing>(
    `SELECT ${columns} FROM dictionary d JOIN model m ON m.id = d.model_id
     WHERE m.slug = $1 AND ($2::text IS NULL OR m.sha256 = $2) AND d.name = $3 AND d.sha256 = $4 ORDER BY d.id DESC`,
    [source.model.id, source.model.sha256, entry.id, entry.sha256],
  );
  return rows.find((row) => holds(row, content));
}

const holds = (existing: Existing | undefined, content: string) =>
  existing !== undefined && (existing.content_sha256 === content || existing.added_contents.includes(content));

const refOf = (source: Source, { entry }: SourceDictionary) => `${source.model.id}/${entry.id}`;

/** What importing would do, where every dictionary of the source is in the catalogue as it is, with every image on disk; else null. */
async function asPresent(db: Database, source: Source, into?: Target): Promise<ImportedDictionary[] | null> {
  const query: Query = (sql, values) => db.rows(sql, values);
  const unchanged: ImportedDictionary[] = [];
  for (const dictionary of source.dictionaries) {
    const existing = await findExisting(query, source, dictionary, into);
    if (!existing || !holds(existing, dictionary.content)) return null;
    const { ref, sha256, version } = existing;
    unchanged.push({ ref, sha256, version, outcome: "unchanged", beside: await versionsBeside(query, ref, version) });
  }
  return (await missingImages(db)) === 0 ? unchanged : null;
}

async function versionsBeside(query: Query, ref: string, version: string): Promise<string[]> {
  const rows = await query<{ version: string }>(
    "SELECT version FROM dictionary WHERE ref = $1 AND version <> $2 ORDER BY imported_at DESC, id DESC",
    [ref, version],
  );
  return rows.map((row) => row.version);
}

/** The key of a content that is new here: the weights' own hash as long as they are new too. */
async function newVersion(query: Query, ref: string, sha256: string, content: string): Promise<string> {
  const known = await query("SELECT FROM dictionary WHERE ref = $1 AND sha256 = $2 LIMIT 1", [ref, sha256]);
  return known.length ? contentVersion(sha256, content) : sha256;
}

/**
 * Imports what was read. `into`: adds the source's one dictionary to one that is there. Throws what the source throws, naming file, column
 * and remedy, with nothing written; `cancelled` when the signal is aborted, with the catalogue as it was.
 */
export async function importSource(db: Database, source: Source, options: ImportOptions & { into?: Target } = {}): Promise<ImportResult> {
  const { into, signal } = options;
  const unchanged = await asPresent(db, source, into);
  if (unchanged) return { dictionaries: unchanged, images: 0, rows: 0 };
  await clearStamp(db.stampFile);
  const checking = (done: number, total: number) => options.onProgress?.({ stage: "checking files", done, total, rowsPerSecond: 0 });
  const owner = await db.imageOwner();
  const importer = new Importer(source, db, options);
  const written = new WrittenImages(db.imagesDir, owner);
  try {
    checking(0, 0);
    await source.verify(checking);
    signal?.throwIfAborted();
    const result = await db.transaction(async (client) => {
      const commit = await interruptOn(signal, db, client);
      try {
        await lockImports(client, db, options);
        await sweepKilled(client, db);
        const media = new ImportMedia(client, db, (stage, table, size) => importer.read(stage, table, size), written);
        await media.importImages(source.images);
        await media.importTexts(source.texts);
        const dictionaries: ImportResult["dictionaries"] = [];
        for (const dictionary of source.dictionaries) {
          dictionaries.push(await importOne(client, source, dictionary, importer, media, into));
        }
        signal?.throwIfAborted();
        return { dictionaries, images: written.count, rows: importer.rows };
      } catch (error) {
        // While the lock is held: the next import would count on these files. What cannot be taken back now stays noted, and the next one does.
        await written.takeBack().catch(() => {});
        throw error;
      } finally {
        commit();
      }
    });
    await written.forget();
    await new ImageList(db.imagesDir, owner).renew(db);
    return result;
  } catch (error) {
    throw (await isFull(error, db)) ? diskFull(error) : asImportError(error, signal);
  }
}

/** One dictionary, on a connection that is in a transaction. */
async function importOne(
  client: PoolClient,
  source: Source,
  dictionary: SourceDictionary,
  importer: Importer,
  media: ImportMedia,
  into?: Target,
): Promise<ImportResult["dictionaries"][number]> {
  const { content, tables } = dictionary;
  const query: Query = async <R extends object>(sql: string, values: unknown[]) => (await client.query(sql, values)).rows as R[];
  const existing = await findExisting(query, source, dictionary, into);
  if (into && !existing) throw new FacetError("dictionary_not_found", `${into.ref} was dropped meanwhile.`);
  const ref = existing?.ref ?? refOf(source, dictionary);
  const sha256 = existing?.sha256 ?? dictionary.entry.sha256;
  const version = existing?.version ?? (await newVersion(query, ref, sha256, content));
  const said = { ref, sha256, version, beside: await versionsBeside(query, ref, version) };
  if (holds(existing, content)) return { ...said, outcome: "unchanged" };
  if (existing && into && existing.num_latents !== dictionary.entry.num_latents) {
    throw invalidFile(`The files are of ${dictionary.entry.num_latents} features; ${ref} has ${existing.num_latents}.`);
  }
  const modelId = into && existing ? existing.model_id : await importModel(client, source);
  const job = {
    tables,
    attribution: source.attribution,
    modelId,
    ref,
    entry: dictionary.entry,
    media,
  };
  if (!existing) {
    await importer.importDictionary(client, { ...job, content, version });
    return { ...said, outcome: "added" };
  }
  await importer.addToDictionary(client, existing.id, [...existing.added_contents, content], job);
  // Last, because readers of the old rows wait from here to the end.
  await dropPartitions(client, existing.id);
  return { ...said, outcome: "extended" };
}

function asImportError(error: unknown, signal?: AbortSignal): unknown {
  // Whatever an interrupted statement says of it.
  if (signal?.aborted) {
    return new FacetError("cancelled", "The import was stopped; the catalogue is as it was before.", {
      fix: "Run the import again.",
      cause: error,
    });
  }
  if (error instanceof FacetError) return error;
  const { code, detail, table } = error as { code?: string; detail?: string; table?: string };
  if (code === "23505") return invalidBundle(`Two rows have the same key (${table}: ${detail}).`, undefined, error);
  if (code?.startsWith("23") || code?.startsWith("22")) {
    return invalidBundle(`A row cannot be stored (${table ?? "value"}: ${(error as Error).message}).`, undefined, error);
  }
  return error;
}

/** What is left when not even the log of a transaction can grow, which is made 16 MiB at a time. */
const nearlyFull = 20 * 2 ** 20;

/** Whether the disk was full: of the images, or of the database. */
async function isFull(error: unknown, db: Database): Promise<boolean> {
  const { code, message = "" } = error as { code?: string; message?: string };
  if (["ENOSPC", "EDQUOT", "53100"].includes(code ?? "") || /No space left on device|[Qq]uota exceeded/.test(message)) return true;
  // The embedded database ends where its log cannot be written, and its last words are lost.
  if (code !== "catalogue_unreachable" || !db.stampFile) return false;
  const disk = await statfs(path.dirname(db.stampFile)).catch(() => null);
  return disk !== null && disk.bavail * disk.bsize < nearlyFull;
}

function diskFull(cause: unknown): FacetError {
  return new FacetError("disk_full", "The disk is full; the catalogue is as it was before.", {
    fix: "Free some space and import again.",
    cause,
  });
}

/** The model's number. Files that do not say which weights it has belong to the one of that name that is there. */
async function importModel(client: PoolClient, { model }: Source): Promise<number> {
  if (model.sha256 === null) {
    const known = await client.query<{ id: number }>("SELECT id FROM model WHERE slug = $1 ORDER BY (sha256 IS NULL), id DESC LIMIT 1", [
      model.id,
    ]);
    if (known.rows[0]) return known.rows[0].id;
  }
  const { rows } = await client.query<{ id: number }>(
    `INSERT INTO model (slug, name, sha256, image_size, grid_rows, grid_cols) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (slug, sha256) DO UPDATE SET name = excluded.name, image_size = excluded.image_size,
       grid_rows = excluded.grid_rows, grid_cols = excluded.grid_cols
     RETURNING id`,
    [model.id, model.name, model.sha256, model.image_size, model.grid?.rows ?? null, model.grid?.cols ?? null],
  );
  return (rows[0] as { id: number }).id;
}
