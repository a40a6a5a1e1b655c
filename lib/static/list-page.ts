/** A page of features in a tab: the same rows, order, cursors and count as `GET /api/features` of a server answers. */
import { affordable, mostOnCard } from "@/lib/core/card-maps";
import { edgeOf, pageCursors, readCursor, sortKindOf } from "@/lib/core/feature-cursor";
import { passingRows } from "@/lib/core/feature-filter";
import type { FeatureQuery } from "@/lib/core/feature-query";
import type { FeatureCard, FeaturePage, Meaning } from "@/lib/core/records";
import { compareEdges, type FeatureTable, type ListRow, placeRows } from "./feature-table";
import type { CardFile } from "./layout";

/** What a search leaves of a list. */
export interface Found {
  /** Cost by index of what was found, the lowest best; null: the search only excludes. */
  costs: ReadonlyMap<number, number> | null;
  /** Indices that are left out. */
  without: ReadonlySet<number>;
  meaning: Meaning | null;
  /** Says on each card why it was found. */
  explain(cards: FeatureCard[]): void;
}

const nothing: ReadonlyMap<number, number> = new Map();

/** All rows of the query's list, in its order. Its cursor and limit play no part. */
export function listRows(table: FeatureTable, query: FeatureQuery, found: Found | null): ListRow[] {
  const passes = passingRows(table, query);
  const kind = sortKindOf(query, found?.costs != null);
  const rows: number[] = [];
  for (let row = 0; row < table.rows; row++) {
    const index = (table.cards[row] as FeatureCard).index;
    if (!passes[row] || found?.without.has(index) || (found?.costs && !found.costs.has(index))) continue;
    rows.push(row);
  }
  const list = placeRows(table, rows, kind, found?.costs ?? nothing);
  return list.sort((a, b) => compareEdges(kind, edgeOf(a), edgeOf(b)));
}

/** Gives each card its examples, as many as a page may weigh. */
function attach(cards: FeatureCard[], shown: readonly CardFile[]): void {
  const examples = shown.flatMap(({ top }, i) =>
    top.slice(0, mostOnCard).map((example, rank) => ({
      index: (cards[i] as FeatureCard).index,
      rank,
      // base64 of two bytes a value
      bytes: (example.map.v.length / 4) * 3 - (/=*$/.exec(example.map.v)?.[0].length ?? 0),
      example,
    })),
  );
  const byIndex = new Map(cards.map((card) => [card.index, card]));
  for (const { index, example } of affordable(examples, cards.length)) byIndex.get(index)?.top.push(example);
  for (const [i, card] of cards.entries()) if (card.top.length === 0 && !card.dead) card.text = shown[i]?.text ?? null;
}

/** Throws `invalid_request` for a cursor that is not of this list. `readCard`: what a card shows, by the feature's index. */
export async function listPage(
  table: FeatureTable,
  query: FeatureQuery,
  found: Found | null,
  readCard: (index: number) => Promise<CardFile>,
): Promise<FeaturePage> {
  const kind = sortKindOf(query, found?.costs != null);
  const cursor = readCursor(query, kind);
  const list = listRows(table, query, found);
  const backwards = cursor?.side === "before";
  const beyond = cursor ? list.filter((row) => compareEdges(kind, edgeOf(row), cursor.edge) * (backwards ? -1 : 1) > 0) : list;
  const rows = backwards ? beyond.slice(-query.limit) : beyond.slice(0, query.limit);
  const items = rows.map(({ row }): FeatureCard => ({ ...(table.cards[row] as FeatureCard), top: [] }));
  attach(items, await Promise.all(rows.map(({ index }) => readCard(index))));
  found?.explain(items);
  return { items, ...pageCursors(query, cursor, rows, beyond.length > query.limit), total: list.length, meaning: found?.meaning ?? null };
}
