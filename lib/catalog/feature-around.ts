/** Which features stand before and after one in a list: what "previous" and "next" on its page mean. */
import { edgeOf } from "@/lib/core/feature-cursor";
import type { FeatureQuery } from "@/lib/core/feature-query";
import type { Queryable } from "./db";
import { countRows, type FeatureMatch, orderOf, readRows, sourceOf } from "./feature-list";

export interface Around {
  /** Both null when the list does not hold the feature. */
  previous: number | null;
  next: number | null;
  /** Features of the list. */
  total: number;
}

/** The neighbours of `index` in the list of `query` (its cursor and limit play no part). Same order and filters as `featurePage`. */
export async function around(
  db: Queryable,
  dictionaryId: number,
  query: FeatureQuery,
  match: FeatureMatch | null,
  index: number,
): Promise<Around> {
  const order = orderOf(query, match?.found != null);
  const source = await sourceOf(dictionaryId, query, match, db);
  const total = await countRows(db, source);
  const place = `$${source.parameters.values.length + 1}`;
  const [row] = await db.rows<{ key: number | null; index: number; dead: boolean }>(
    `SELECT ${order.key} AS key, f.index, f.dead ${source.sql} AND f.index = ${place}::int`,
    [...source.parameters.values, index],
  );
  if (!row) return { previous: null, next: null, total };
  const edge = edgeOf(row);
  const [next] = await readRows(db, source, order, edge, false, 1);
  const [previous] = await readRows(db, source, order, edge, true, 1);
  return { previous: previous?.index ?? null, next: next?.index ?? null, total };
}
