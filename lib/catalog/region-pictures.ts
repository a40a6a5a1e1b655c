/** Pictures of the catalogue on which some features fire in a painted region, by their stored maps. */
import type { Region } from "@/lib/core/region";
import { mostRegionExamples, rankPictures } from "@/lib/core/region-search";
import { decodeBytes } from "@/lib/core/sparse-map";
import type { Database } from "./db";
import { locateDictionary } from "./dictionaries";
import { type MapRow, mapColumns, toMap } from "./row-types";

export interface RegionSearch {
  dictionary: string;
  features: readonly number[];
  region: Region;
  /** A picture to leave out. */
  without?: string;
  limit: number;
}

type ExampleRow = MapRow & { index: number; image_id: number };

/** Parameters: the dictionary's number, the features, the picture to leave out or null. Read by the primary key's index, from each feature's first example on. */
export const regionExamplesSql = `SELECT a.index, a.image_id, ${mapColumns} FROM unnest($2::int[]) AS sought (index) CROSS JOIN LATERAL (
  SELECT * FROM activation x WHERE x.dictionary_id = $1 AND x.index = sought.index AND x.image_id IS NOT NULL
    AND x.image_id IS DISTINCT FROM (SELECT id FROM image WHERE sha256 = $3)
  ORDER BY x.band, x.rank LIMIT ${mostRegionExamples}) a`;

/**
 * Pictures whose stored maps of the features have activation in the region, best first: by the mean over the features asked for of inside / maximum.
 * Only stored examples are known: a feature may fire on a picture that is none of its examples. Throws `dictionary_not_found`.
 */
export async function regionPictures(db: Database, { dictionary: ref, features, region, without, limit }: RegionSearch) {
  const { id } = await locateDictionary(db, ref);
  const rows = await db.rows<ExampleRow>(regionExamplesSql, [id, features, without ?? null]);
  const maxima = new Map(
    (
      await db.rows<{ index: number; max_activation: number | null }>(
        "SELECT index, max_activation FROM feature WHERE dictionary_id = $1 AND index = ANY($2::int[])",
        [id, features],
      )
    ).map((row) => [row.index, row.max_activation ?? 0]),
  );
  const [all] = await db.rows<{ count: number }>("SELECT count(*)::int AS count FROM image");
  const stored = rows.map((row) => ({ ...row, image: row.image_id, map: decodeBytes(row.map_positions, row.map_values), row }));
  const { ranked, pictures, examples } = rankPictures(stored, region, features.length, maxima);
  const shown = ranked.slice(0, limit);
  const images = new Map(
    (
      await db.rows<{ id: number; sha256: string; caption: string | null }>(
        "SELECT id, sha256, caption FROM image WHERE id = ANY($1::int[])",
        [shown.map(({ image }) => image)],
      )
    ).map((row) => [row.id, row]),
  );
  return {
    dictionary: ref,
    examined: { examples, pictures, catalogue: all?.count ?? 0 },
    total: ranked.length,
    items: shown.flatMap(({ image, found, score }) => {
      const info = images.get(image);
      if (!info) return [];
      const inRegion = found.map(({ example: { row }, inside, outside }) => {
        const { index, rows, cols, peak, mean } = row;
        return { index, inside, outside, rows, cols, peak, mean, map: toMap(row) };
      });
      return [{ image: info.sha256, caption: info.caption, score, features: inRegion }];
    }),
  };
}
