/** The maps on cards: as many of each feature's top examples as a page may weigh. */
import type { FeatureCard } from "@/lib/core/records";
import type { Queryable } from "./db";
import { type MapRow, mapColumns, toImageExample } from "./row-types";

/** Most examples on a card. */
const most = 5;

/**
 * Compressed bytes of maps that a page may carry. The API's 50 cards stay below 60 kB with the cards themselves (3 to 6 kB); the fewer cards
 * of a page that the server draws leave room for its markup.
 */
const budgetBytes = (cards: number) => Math.min(52_000, 1_300 * cards);

/** What an example weighs compressed, measured: values and positions shrink little, an image's hash to its 32 bytes. */
const weight = (row: MapRow) => 0.9 * row.map_values.byteLength + 0.45 * row.map_positions.byteLength + 38;

type TopRow = MapRow & { index: number; rank: number; sha256: string };

/** The rows that fit: every card's first, then second and so on, the lighter ones of a rank before the heavier. */
function affordable(rows: TopRow[], budget: number): Set<TopRow> {
  const taken = new Set<TopRow>();
  const depth = new Map<number, number>();
  let spent = 0;
  for (let rank = 0; rank < most; rank++) {
    const level = rows.filter((row) => row.rank === rank).sort((a, b) => weight(a) - weight(b) || a.index - b.index);
    for (const row of level) {
      // A card's maps have no gap: the third is not shown where the second was too heavy.
      if ((depth.get(row.index) ?? 0) !== rank || (rank > 0 && spent + weight(row) > budget)) continue;
      spent += weight(row);
      depth.set(row.index, rank + 1);
      taken.add(row);
    }
  }
  return taken;
}

/**
 * Gives every card its top examples: five, or fewer where the page would be too heavy with them (broad features have large maps), and one
 * at least.
 */
export async function attachTop(db: Queryable, dictionaryId: number, cards: FeatureCard[]): Promise<void> {
  if (cards.length === 0) return;
  const rows = await db.rows<TopRow>(
    `SELECT a.index, a.rank, i.sha256, ${mapColumns} FROM activation a JOIN image i ON i.id = a.image_id
     WHERE a.dictionary_id = $1 AND a.index = ANY($2::int[]) AND a.band = 'top' AND a.rank < ${most} ORDER BY a.index, a.rank`,
    [dictionaryId, cards.map((card) => card.index)],
  );
  const taken = affordable(rows, budgetBytes(cards.length));
  const byIndex = new Map(cards.map((card) => [card.index, card]));
  for (const row of rows) if (taken.has(row)) byIndex.get(row.index)?.top.push(toImageExample(row));
}
