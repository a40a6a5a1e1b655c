/** The maps on cards: as many of each feature's top examples as a page may weigh. */
import type { FeatureCard } from "@/lib/core/records";
import type { Queryable } from "./db";
import { type MapRow, mapColumns, toImageExample } from "./row-types";

/** Most examples on a card. */
const most = 5;

/** Compressed bytes of maps that a page of 50 cards may carry: with the cards themselves (3 to 6 kB) it stays well below 60 kB. */
const budgetBytes = 48_000;

/** What an example weighs compressed: values hardly shrink, positions to about six tenths, an image's hash to its 32 bytes. */
const weight = (row: MapRow) => row.map_values.byteLength + 0.6 * row.map_positions.byteLength + 40;

/**
 * Gives every card its top examples: five, or fewer on each where the page would be too heavy with them (broad features have large maps),
 * and one at least.
 */
export async function attachTop(db: Queryable, dictionaryId: number, cards: FeatureCard[]): Promise<void> {
  if (cards.length === 0) return;
  const rows = await db.rows<MapRow & { index: number; rank: number; sha256: string }>(
    `SELECT a.index, a.rank, i.sha256, ${mapColumns} FROM activation a JOIN image i ON i.id = a.image_id
     WHERE a.dictionary_id = $1 AND a.index = ANY($2::int[]) AND a.band = 'top' AND a.rank < ${most} ORDER BY a.index, a.rank`,
    [dictionaryId, cards.map((card) => card.index)],
  );
  const heavy = Array.from({ length: most }, (_, rank) =>
    rows.filter((row) => row.rank === rank).reduce((sum, row) => sum + weight(row), 0),
  );
  let ranks = 0;
  for (let sum = 0; ranks < most; ranks++) {
    sum += heavy[ranks] as number;
    if (ranks > 0 && sum > budgetBytes) break;
  }
  const byIndex = new Map(cards.map((card) => [card.index, card]));
  for (const row of rows) if (row.rank < ranks) byIndex.get(row.index)?.top.push(toImageExample(row));
}
