/** A dictionary's features in a tab: a card for each, and the columns that filters and orders go by. */
import { type Edge, metricTypes, type PlacedRow, type SortKind } from "@/lib/core/feature-cursor";
import type { FilterColumns } from "@/lib/core/feature-filter";
import { conceptClasses, type FeatureCard, type MetricKey, metricKeys } from "@/lib/core/records";
import type { ListFile, PlainCard } from "./layout";

const cardKeyOf = {
  density: "density",
  text_density: "textDensity",
  max_activation: "maxActivation",
  mean_activation: "meanActivation",
  image_share: "imageShare",
  iou: "iou",
  steer: "steer",
  clip: "clip",
  consistency: "consistency",
  detection: "detection",
  fuzzing: "fuzzing",
  images: "images",
} as const satisfies Record<MetricKey, keyof PlainCard>;

export interface FeatureTable extends FilterColumns {
  embedder: string | null;
  /** In order of index; without pictures, texts and matches. */
  cards: FeatureCard[];
  positional: boolean[];
  /** Row by index. */
  rowOf: Map<number, number>;
}

/** The file's content from cards in order of index. */
export function toListFile(cards: readonly FeatureCard[], more: Omit<ListFile, "columns">): ListFile {
  const [first] = cards;
  const keys = first ? (Object.keys(first).filter((key) => !["top", "text", "match"].includes(key)) as (keyof PlainCard)[]) : [];
  const columns = Object.fromEntries(keys.map((key) => [key, cards.map((card) => card[key])])) as ListFile["columns"];
  return { ...more, columns };
}

export function readTable({ embedder, columns, flags, positional }: ListFile): FeatureTable {
  const keys = Object.keys(columns) as (keyof PlainCard)[];
  const cards = (columns.index ?? []).map((_, row) => {
    const plain = Object.fromEntries(keys.map((key) => [key, columns[key][row]])) as unknown as PlainCard;
    return { ...plain, top: [], text: null, match: null };
  });
  const metrics = Object.fromEntries(
    metricKeys.map((key) => {
      const stored = metricTypes[key] === "real" ? Math.fround : Number;
      return [
        key,
        Float64Array.from(cards, (card) => {
          const value = card[cardKeyOf[key]];
          return value === null ? Number.NaN : stored(value);
        }),
      ];
    }),
  ) as Record<MetricKey, Float64Array>;
  return {
    rows: cards.length,
    metrics,
    flags: Uint8Array.from(flags),
    concepts: Uint8Array.from(cards, ({ concept }) => (concept ? conceptClasses.indexOf(concept) + 1 : 0)),
    embedder,
    cards,
    positional,
    rowOf: new Map(cards.map((card, row) => [card.index, row])),
  };
}

/** A feature of a list, with what it is put in order by. */
export interface ListRow extends PlacedRow {
  row: number;
}

/** The rows with their keys. `costs`: of what a search found, by index. */
export function placeRows(table: FeatureTable, rows: readonly number[], kind: SortKind, costs: ReadonlyMap<number, number>): ListRow[] {
  return rows.map((row) => {
    const card = table.cards[row] as FeatureCard;
    const { index, dead } = card;
    const key = kind.by === "cost" ? (costs.get(index) ?? null) : kind.by === "index" ? index : card[cardKeyOf[kind.by]];
    return { row, index, dead, key };
  });
}

const partOf = (value: Edge["value"]) => (typeof value === "number" ? 0 : value === "missing" ? 1 : 2);

/** How an edge stands to another in the list: negative where it comes before. */
export function compareEdges(kind: SortKind, a: Edge, b: Edge): number {
  const parts = partOf(a.value) - partOf(b.value);
  if (parts !== 0) return parts;
  // Without the key the index counts up whatever the direction.
  if (typeof a.value !== "number" || typeof b.value !== "number") return a.index - b.index;
  const stored = kind.type === "real" ? Math.fround : Number;
  // In the order of indices the key is the index, whatever a cursor says beside it.
  const keys = kind.by === "index" ? 0 : stored(a.value) - stored(b.value);
  return (keys || a.index - b.index) * (kind.descending ? -1 : 1);
}
