/** The maps on cards: as many of each feature's top examples as a page may weigh, and words where there is no picture. */
import type { FeatureCard, TextExample } from "@/lib/core/records";
import { decodeBytes, encodeMap } from "@/lib/core/sparse-map";
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
  await attachTexts(
    db,
    dictionaryId,
    cards.filter((card) => card.top.length === 0 && !card.dead),
  );
}

/** Tokens on a card, before and after the one with the largest activation. */
const before = 10;
const after = 6;

/** The part of a text around its peak, with the map over that part. */
export function excerpt(tokens: string[], row: Pick<MapRow, "map_positions" | "map_values" | "peak">): TextExample {
  const { positions, values } = decodeBytes(row.map_positions, row.map_values);
  const strongest = values.reduce((best, value, i) => (value > (values[best] ?? 0) ? i : best), 0);
  const peak = positions[strongest] ?? 0;
  // Near the end there is more to show of what came before.
  const start = Math.max(0, Math.min(peak - before, tokens.length - before - after - 1));
  const end = Math.min(tokens.length, start + before + after + 1);
  const kept = [...positions.keys()].filter((i) => (positions[i] as number) >= start && (positions[i] as number) < end);
  const map = {
    positions: Uint16Array.from(kept, (i) => (positions[i] as number) - start),
    values: Float32Array.from(kept, (i) => values[i] as number),
  };
  return { tokens: tokens.slice(start, end), image: null, peak: row.peak, map: encodeMap(map) };
}

async function attachTexts(db: Queryable, dictionaryId: number, cards: FeatureCard[]): Promise<void> {
  if (cards.length === 0) return;
  const rows = await db.rows<MapRow & { index: number; tokens: string[] }>(
    `SELECT a.index, t.tokens, ${mapColumns} FROM activation a JOIN text_sequence t ON t.id = a.text_id
     WHERE a.dictionary_id = $1 AND a.index = ANY($2::int[]) AND a.band = 'text' AND a.rank = 0`,
    [dictionaryId, cards.map((card) => card.index)],
  );
  for (const row of rows) {
    const card = cards.find((one) => one.index === row.index);
    if (card) card.text = excerpt(row.tokens, row);
  }
}
