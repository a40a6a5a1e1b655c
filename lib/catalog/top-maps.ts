/** The maps on cards: as many of each feature's top examples as a page may weigh, and words where there is no picture. */
import { affordable, mostOnCard } from "@/lib/core/card-maps";
import type { FeatureCard, TextExample } from "@/lib/core/records";
import { decodeBytes, encodeMap } from "@/lib/core/sparse-map";
import type { Queryable } from "./db";
import { type MapRow, mapColumns, toImageExample } from "./row-types";

type TopRow = MapRow & { index: number; rank: number; sha256: string };

/**
 * Gives every card its top examples: five, or fewer where the page would be too heavy with them (broad features have large maps), and one
 * at least.
 */
export async function attachTop(db: Queryable, dictionaryId: number, cards: FeatureCard[]): Promise<void> {
  if (cards.length === 0) return;
  const rows = await db.rows<TopRow>(
    `SELECT a.index, a.rank, i.sha256, ${mapColumns} FROM activation a JOIN image i ON i.id = a.image_id
     WHERE a.dictionary_id = $1 AND a.index = ANY($2::int[]) AND a.band = 'top' AND a.rank < ${mostOnCard} ORDER BY a.index, a.rank`,
    [dictionaryId, cards.map((card) => card.index)],
  );
  const taken = affordable(
    rows.map((row) => ({ index: row.index, rank: row.rank, bytes: row.map_values.byteLength, row })),
    cards.length,
  );
  const byIndex = new Map(cards.map((card) => [card.index, card]));
  // The first ranks come first.
  for (const { row } of taken) byIndex.get(row.index)?.top.push(toImageExample(row));
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
