/** Features worth opening first: what they stand for can be pointed at, is well measured, and no two stand for the same. */
import type { Concept, FeatureCard } from "@/lib/core/records";
import type { Queryable } from "./db";
import { type CardRow, cardColumns, toCard } from "./row-types";
import { attachTop } from "./top-maps";

/** What a person can point at. A colour or a place in the picture is most often a background's or the frame's: those come after. */
const concrete: readonly Concept[] = ["object", "emotion", "text", "action", "part", "scene"];

/** A dictionary's rows never change under its number: what was picked stays the pick, which takes half a second of 131,072 features. */
type Kept = Map<string, Promise<FeatureCard[]>>;
const keptOf = new WeakMap<Queryable, Kept>();
const mostKept = 200;

/**
 * Up to `count` cards with pictures, the best first: concrete concepts before others, by IoU and steering effect together (either, where
 * the other was not measured), one a label, and of one concept class only until every other has had its turn. Unscored dictionaries give
 * their largest activations.
 */
export function pickCards(db: Queryable, dictionaryId: number, count: number): Promise<FeatureCard[]> {
  const kept: Kept = keptOf.get(db) ?? new Map();
  keptOf.set(db, kept);
  const key = `${dictionaryId} ${count}`;
  const known = kept.get(key);
  if (known) return known;
  const picked = readCards(db, dictionaryId, count);
  picked.catch(() => kept.delete(key));
  if (kept.size >= mostKept) kept.delete(kept.keys().next().value as string);
  kept.set(key, picked);
  return picked;
}

async function readCards(db: Queryable, dictionaryId: number, count: number): Promise<FeatureCard[]> {
  const rows = await db.rows<CardRow>(
    `WITH good AS (
       SELECT f.*, coalesce(f.iou, 0) + coalesce(f.steer, 0) AS merit,
         row_number() OVER (PARTITION BY lower(coalesce(f.label, f.index::text)) ORDER BY coalesce(f.iou, 0) + coalesce(f.steer, 0) DESC, f.index) AS same
       FROM feature f
       WHERE f.dictionary_id = $1 AND NOT f.dead AND NOT f.always_on AND NOT f.sink AND coalesce(f.images, 3) >= 3
     ), turn AS (
       SELECT *, row_number() OVER (PARTITION BY concept ORDER BY merit DESC, max_activation DESC, index) AS turn FROM good WHERE same = 1
     )
     SELECT ${cardColumns} FROM turn f
     ORDER BY (f.label IS NULL), coalesce(f.concept = ANY($3::text[]), false) DESC, f.turn, f.merit DESC, f.max_activation DESC, f.index LIMIT $2`,
    [dictionaryId, count, concrete],
  );
  const cards = rows.map(toCard);
  await attachTop(db, dictionaryId, cards);
  return cards;
}
