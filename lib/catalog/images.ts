/** The catalogue's pictures, and what of a dictionary is known to fire on one. */
import { FacetError } from "@/lib/core/errors";
import type { AnalysedFeature, Analysis, ImageInfo } from "@/lib/core/records";
import type { Database, Queryable } from "./db";
import { type FoundDictionary, locateDictionary } from "./dictionaries";
import { readImage } from "./image-files";
import { type MapRow, mapColumns, type NameRow, nameColumns, toFeatureName, toMap } from "./row-types";

const infoColumns = "sha256, width, height, mime, source, caption";

function noImage(sha256: string): FacetError {
  return new FacetError("image_not_found", `The catalogue has no image ${sha256.slice(0, 12)}….`);
}

/** What is known of an image of the catalogue or of a saved experiment, without its bytes. Throws `image_not_found`. */
export async function findImageInfo(db: Queryable, sha256: string): Promise<ImageInfo> {
  const rows = await db.rows<ImageInfo>(
    `SELECT ${infoColumns} FROM image WHERE sha256 = $1 UNION ALL
     SELECT sha256, width, height, mime, 'from a saved experiment', NULL FROM experiment_picture WHERE sha256 = $1
       AND NOT EXISTS (SELECT FROM image WHERE sha256 = $1)`,
    [sha256],
  );
  if (!rows[0]) throw noImage(sha256);
  return rows[0];
}

/** An image with its bytes. Throws `image_not_found`, also where the file is gone from disk. */
export async function findImage(db: Database, sha256: string): Promise<{ bytes: Uint8Array; mime: string; info: ImageInfo }> {
  const info = await findImageInfo(db, sha256);
  try {
    return { bytes: await readImage(db.imagesDir, sha256), mime: info.mime, info };
  } catch (cause) {
    const [kept] = await db.rows<{ bytes: Uint8Array }>("SELECT bytes FROM experiment_picture WHERE sha256 = $1", [sha256]);
    if (kept) return { bytes: kept.bytes, mime: info.mime, info };
    throw new FacetError("image_not_found", `The file of image ${sha256.slice(0, 12)}… is gone from the data folder.`, {
      fix: "Import its bundle again, which restores it.",
      cause,
    });
  }
}

/** A page of images in the order of import; `q`: words that the caption must have. Throws `invalid_request` for a foreign cursor. */
export async function listImages(
  db: Queryable,
  { limit, cursor, q = "" }: { limit: number; cursor: string | null; q?: string },
): Promise<{ items: ImageInfo[]; next: string | null }> {
  if (cursor !== null && !/^\d{1,9}$/.test(cursor)) throw new FacetError("invalid_request", "The cursor is not one of this API.");
  const words = q.replaceAll("\0", " ").trim();
  const rows = await db.rows<ImageInfo & { id: number }>(
    `SELECT id, ${infoColumns} FROM image
     WHERE id > $1::int AND ($2::text = '' OR to_tsvector('english', coalesce(caption, '')) @@ plainto_tsquery('english', $2::text))
     ORDER BY id LIMIT $3::int`,
    [cursor === null ? 0 : Number(cursor), words, limit + 1],
  );
  const more = rows.length > limit;
  if (more) rows.pop();
  const next = more ? String(rows.at(-1)?.id) : null;
  return { items: rows.map(({ id, ...info }) => info), next };
}

/**
 * The features whose stored examples lie on an image, strongest first: not all that fire on it, which takes an engine. Throws
 * `dictionary_not_found` and `image_not_found`.
 */
export async function storedActivations(db: Database, ref: string, sha256: string): Promise<Analysis> {
  const found = await locateDictionary(db, ref);
  await findImageInfo(db, sha256);
  return activationsOn(db, found, sha256);
}

/** As `storedActivations`, of a dictionary and a picture that are known to be there. */
export async function activationsOn(db: Queryable, { id, dictionary }: FoundDictionary, sha256: string): Promise<Analysis> {
  const rows = await db.rows<MapRow & NameRow>(
    `SELECT DISTINCT ON (a.index) ${nameColumns}, ${mapColumns}
     FROM activation a JOIN image i ON i.id = a.image_id
     JOIN feature f ON f.dictionary_id = a.dictionary_id AND f.index = a.index
     WHERE a.dictionary_id = $1 AND i.sha256 = $2 ORDER BY a.index, a.band`,
    [id, sha256],
  );
  const features = rows.map((row): AnalysedFeature => ({ ...toFeatureName(row), mean: row.mean, peak: row.peak, map: toMap(row) }));
  features.sort((a, b) => b.mean - a.mean || a.index - b.index);
  const { rows: gridRows, cols: gridCols } = rows[0] ?? dictionary.model.grid ?? { rows: 0, cols: 0 };
  return { dictionary: dictionary.ref, source: "catalogue", rows: gridRows, cols: gridCols, total: features.length, features };
}
