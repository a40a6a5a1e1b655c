/** Pictures of the catalogue on which some features fire in a painted region, by their stored maps. */
import { coverage, type Region } from "@/lib/core/region";
import { regionMeans } from "@/lib/core/region-contrast";
import { decodeBytes } from "@/lib/core/sparse-map";
import type { Database } from "./db";
import { locateDictionary } from "./dictionaries";
import { type MapRow, mapColumns, toMap } from "./row-types";

/** Stored examples of one feature that are looked at: with 16 features, at most 2,048 maps a question. */
const mostExamples = 128;

export interface RegionSearch {
  dictionary: string;
  features: readonly number[];
  region: Region;
  /** A picture to leave out. */
  without?: string;
  limit: number;
}

type ExampleRow = MapRow & { index: number; image_id: number };

interface Found {
  row: ExampleRow;
  inside: number;
  outside: number;
  /** inside / the feature's maximum. */
  share: number;
}

/** Parameters: the dictionary's number, the features, the picture to leave out or null. Read by the primary key's index, from each feature's first example on. */
export const regionExamplesSql = `SELECT a.index, a.image_id, ${mapColumns} FROM unnest($2::int[]) AS sought (index) CROSS JOIN LATERAL (
  SELECT * FROM activation x WHERE x.dictionary_id = $1 AND x.index = sought.index AND x.image_id IS NOT NULL
    AND x.image_id IS DISTINCT FROM (SELECT id FROM image WHERE sha256 = $3)
  ORDER BY x.band, x.rank LIMIT ${mostExamples}) a`;

/** The region on each grid that occurs: usually one. */
function covers(region: Region): (rows: number, cols: number) => Float32Array {
  const known = new Map<string, Float32Array>();
  return (rows, cols) => {
    const key = `${rows}x${cols}`;
    const cover = known.get(key) ?? coverage(region, rows, cols);
    known.set(key, cover);
    return cover;
  };
}

/** What fires in the region, by picture, and how many pictures there were. */
function gather(rows: ExampleRow[], region: Region, maxima: Map<number, number>) {
  const coverOn = covers(region);
  const seen = new Set<string>();
  const pictures = new Set<number>();
  const found = new Map<number, Found[]>();
  for (const row of rows) {
    pictures.add(row.image_id);
    // A picture may be an example in two bands.
    const key = `${row.index}/${row.image_id}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const means = regionMeans(decodeBytes(row.map_positions, row.map_values), coverOn(row.rows, row.cols));
    if (means.inside <= 0) continue;
    const one = { row, ...means, share: Math.min(1, means.inside / Math.max(maxima.get(row.index) ?? 0, row.peak)) };
    found.set(row.image_id, [...(found.get(row.image_id) ?? []), one]);
  }
  return { found, pictures: pictures.size, examples: seen.size };
}

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
  const { found, pictures, examples } = gather(rows, region, maxima);
  const ranked = [...found]
    .map(([image, on]) => ({ image, on, score: on.reduce((sum, { share }) => sum + share, 0) / features.length }))
    .sort((a, b) => b.score - a.score || a.image - b.image)
    .slice(0, limit);
  const images = new Map(
    (
      await db.rows<{ id: number; sha256: string; caption: string | null }>(
        "SELECT id, sha256, caption FROM image WHERE id = ANY($1::int[])",
        [ranked.map(({ image }) => image)],
      )
    ).map((row) => [row.id, row]),
  );
  return {
    dictionary: ref,
    examined: { examples, pictures },
    total: found.size,
    items: ranked.flatMap(({ image, on, score }) => {
      const info = images.get(image);
      if (!info) return [];
      const inRegion = on
        .toSorted((a, b) => b.share - a.share || a.row.index - b.row.index)
        .map(({ row, inside, outside }) => {
          const { index, rows, cols, peak, mean } = row;
          return { index, inside, outside, rows, cols, peak, mean, map: toMap(row) };
        });
      return [{ image: info.sha256, caption: info.caption, score, features: inRegion }];
    }),
  };
}
