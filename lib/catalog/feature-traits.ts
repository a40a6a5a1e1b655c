/** Names of some features with what was measured of them that a ranking may leave them out for. */
import { isPositional } from "@/lib/core/sameness";
import { decodeBytes, type SparseMap } from "@/lib/core/sparse-map";
import type { Database } from "./db";
import { locateWeights } from "./dictionaries";
import { type NameRow, nameColumns, toFeatureName } from "./row-types";

interface PlaceRow {
  index: number;
  rows: number;
  cols: number;
  map_positions: Uint8Array;
  map_values: Uint8Array;
}

/** Strongest pictures of a feature whose maps are compared. */
const compared = 5;

/**
 * Label, bearing and health of some features, ascending by index; those that the catalogue lacks are absent. `weights`: the first digits of the weights'
 * hash, for the latest version that has them. Throws `dictionary_not_found` and `version_mismatch`.
 */
export async function featureTraits(db: Database, ref: string, indices: readonly number[], weights?: string) {
  const { id } = await locateWeights(db, ref, weights);
  const rows = await db.rows<NameRow>(
    `SELECT ${nameColumns} FROM feature f WHERE f.dictionary_id = $1 AND f.index = ANY($2::integer[]) ORDER BY f.index`,
    [id, indices],
  );
  const places = await db.rows<PlaceRow>(
    `SELECT a.index, a.rows, a.cols, a.map_positions, a.map_values FROM activation a
     WHERE a.dictionary_id = $1 AND a.index = ANY($2::int[]) AND a.band = 'top' AND a.rank < ${compared}`,
    [id, indices],
  );
  const maps = new Map<number, { cells: number; maps: SparseMap[] }>();
  for (const { index, rows, cols, map_positions, map_values } of places) {
    const known = maps.get(index) ?? { cells: rows * cols, maps: [] };
    // Grids of several shapes cannot be laid over each other.
    if (known.cells === rows * cols) known.maps.push(decodeBytes(map_positions, map_values));
    maps.set(index, known);
  }
  return rows.map((row) => {
    const place = maps.get(row.index);
    return { ...toFeatureName(row), positional: place ? isPositional(place.maps, place.cells) : false };
  });
}
