/** Taking a dictionary out of the catalogue, with the images and texts that no other one shows. */
import type { PoolClient } from "pg";
import { FacetError } from "@/lib/core/errors";
import type { Database } from "./db";
import { ImageList, removeUnshared } from "./image-owners";
import { lockImports } from "./import-lock";
import { clearStamp } from "./import-stamp";
import { dropPartitions, partitionOf } from "./partitions";
import type { VersionRow } from "./versions";

export interface DropResult {
  ref: string;
  /** Its key (versions.ts). */
  version: string;
  features: number;
  /** Image files removed. */
  images: number;
  /** Files left, because another catalogue over the same folder shows them. */
  shared: number;
}

interface Version extends VersionRow {
  id: number;
  features: number;
  model_id: number;
}

async function findVersion(client: PoolClient, ref: string, version: string | undefined): Promise<Version> {
  const { rows } = await client.query<Version>(
    `SELECT id, sha256, content_sha256 AS "contentSha256", version, features, model_id FROM dictionary WHERE ref = $1
     ORDER BY imported_at DESC, id DESC`,
    [ref],
  );
  if (rows.length === 0) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref.slice(0, 200)}".`);
  // By its own key alone: a link may open other content of the same weights, but what goes is what was named.
  const named = version === undefined ? rows : rows.filter((row) => row.version.startsWith(version));
  if (named.length === 1) return named[0] as Version;
  const versions = rows.map((row) => row.version.slice(0, 12)).join(", ");
  if (named.length === 0) {
    throw new FacetError("version_mismatch", `${ref} has no version ${version}; it has ${versions}.`, { fix: "Name one of them." });
  }
  throw new FacetError("invalid_request", `${ref} has ${rows.length} versions, the latest first: ${versions}.`, {
    fix: `Say which one is to go, for example ${ref}@${rows.at(-1)?.version.slice(0, 12)}.`,
  });
}

/** Rows that only this dictionary shows; all that is left where it is the last one. */
async function removeMedia(client: PoolClient, id: number): Promise<string[]> {
  const { rows: left } = await client.query("SELECT FROM dictionary LIMIT 1");
  const own = partitionOf("activation", id);
  const shown = (column: string) => `SELECT FROM activation a WHERE a.dictionary_id <> ${id} AND a.${column}`;
  if (left.length === 0) {
    await client.query("DELETE FROM text_sequence");
    return (await client.query<{ sha256: string }>("DELETE FROM image RETURNING sha256")).rows.map((row) => row.sha256);
  }
  const { rows: texts } = await client.query<{ image_id: number }>(
    `WITH gone AS (
       DELETE FROM text_sequence t WHERE t.id IN (SELECT text_id FROM ${own}) AND NOT EXISTS (${shown("text_id")} = t.id) RETURNING image_id
     ) SELECT DISTINCT image_id FROM gone WHERE image_id IS NOT NULL`,
  );
  const { rows } = await client.query<{ sha256: string }>(
    `DELETE FROM image i WHERE (i.id IN (SELECT image_id FROM ${own}) OR i.id = ANY($1::int[])) AND NOT EXISTS (${shown("image_id")} = i.id)
       AND NOT EXISTS (SELECT FROM text_sequence t WHERE t.image_id = i.id) RETURNING sha256`,
    [texts.map((row) => row.image_id)],
  );
  return rows.map((row) => row.sha256);
}

/**
 * Drops a dictionary; of several versions the one whose key begins with `version`. Readers see it whole or not at all. Throws
 * `dictionary_not_found`, `version_mismatch`, and `invalid_request` where there are several versions and none was named.
 */
export async function dropDictionary(db: Database, ref: string, version?: string): Promise<DropResult> {
  await clearStamp(db.stampFile);
  const { dropped, images } = await db.transaction(async (client) => {
    await lockImports(client, db);
    const dropped = await findVersion(client, ref, version);
    await client.query("DELETE FROM dictionary WHERE id = $1", [dropped.id]);
    const images = await removeMedia(client, dropped.id);
    await client.query("DELETE FROM model m WHERE m.id = $1 AND NOT EXISTS (SELECT FROM dictionary d WHERE d.model_id = m.id)", [
      dropped.model_id,
    ]);
    // Last, because readers wait from here to the end.
    await dropPartitions(client, dropped.id);
    return { dropped, images };
  });
  // Only now: had the transaction failed, the files would still be wanted.
  const owner = await db.imageOwner();
  const { removed, shared } = await removeUnshared(db.imagesDir, owner, images);
  await new ImageList(db.imagesDir, owner).renew(db);
  return { ref, version: dropped.version, features: dropped.features, images: removed, shared };
}
