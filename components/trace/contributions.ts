/** Contributions as the page shows them: ranked, filtered, grouped, summed over positions. Pure. */
import type { Concept } from "@/lib/core/records";
import type { LeftOutKind, Modality } from "@/lib/core/trace-link";

export type PositionKind = "image" | "text" | "template" | "answer";

/** A position of the sequence that the answer's token was computed from. */
export interface TracePosition {
  kind: PositionKind;
  /** As the model reads it; empty for a cell of a picture. */
  text: string;
  /** Which picture, and which of its cells (row-major); null for words. */
  cell: { image: number; cell: number } | null;
}

export interface TraceRow {
  feature: number;
  label: string | null;
  concept: Concept | null;
  /** Which measured properties it has for which a ranking may leave it out. */
  kinds: LeftOutKind[];
  /** Estimated contribution, summed over the image's positions and over all others. */
  image: number;
  text: number;
  /** What removing it really takes from the metric; null until measured. */
  measured: number | null;
  /** Where: positions of the sequence and the contribution at each, in step. */
  at: { positions: ArrayLike<number>; values: ArrayLike<number> };
}

export interface RankedRow extends TraceRow {
  /** The estimate at the positions that are looked at. */
  value: number;
}

export const valueAmong = ({ image, text }: Pick<TraceRow, "image" | "text">, where: Modality): number =>
  where === "image" ? image : where === "text" ? text : image + text;

export interface Ranking {
  /** The greatest first, by size whatever its sign. */
  rows: RankedRow[];
  /** How many were left out for what they are, and their sum. */
  leftOut: { count: number; sum: number };
}

/** The rows that contribute something where one looks, without the kinds that are not wanted. */
export function rank(rows: readonly TraceRow[], where: Modality, without: readonly LeftOutKind[]): Ranking {
  const ranked: RankedRow[] = [];
  const leftOut = { count: 0, sum: 0 };
  for (const row of rows) {
    const value = valueAmong(row, where);
    if (value === 0) continue;
    if (row.kinds.some((kind) => without.includes(kind))) {
      leftOut.count += 1;
      leftOut.sum += value;
    } else ranked.push({ ...row, value });
  }
  ranked.sort((a, b) => Math.abs(b.value) - Math.abs(a.value) || a.feature - b.feature);
  return { rows: ranked, leftOut };
}

export interface ConceptGroup {
  concept: Concept | null;
  value: number;
  rows: RankedRow[];
}

/** Ranked rows by concept class, the class with the greatest sum first; unexplained features are one class. */
export function groupByConcept(rows: readonly RankedRow[]): ConceptGroup[] {
  const groups = new Map<Concept | null, ConceptGroup>();
  for (const row of rows) {
    const group = groups.get(row.concept) ?? { concept: row.concept, value: 0, rows: [] };
    group.value += row.value;
    group.rows.push(row);
    groups.set(row.concept, group);
  }
  return [...groups.values()].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
}

/** The contributions of all the rows at each position, summed: as long as the sequence. */
export function sumByPosition(rows: readonly TraceRow[], length: number): Float32Array {
  const sums = new Float32Array(length);
  for (const { at } of rows) {
    for (let i = 0; i < at.positions.length; i++) {
      const position = at.positions[i] as number;
      if (position < length) sums[position] = (sums[position] as number) + (at.values[i] as number);
    }
  }
  return sums;
}

/** The sums at the positions that are looked at, zero at all others. */
export function sumsAmong(sums: Float32Array, positions: readonly TracePosition[], where: Modality): Float32Array {
  if (where === "all") return sums;
  return sums.map((sum, i) => ((positions[i]?.kind === "image") === (where === "image") ? sum : 0));
}

/** What lies on one picture's cells: `rows × cols`, row-major, zero where nothing does. */
export function overPicture(sums: Float32Array, positions: readonly TracePosition[], image: number, cells: number): Float32Array {
  const dense = new Float32Array(cells);
  positions.forEach(({ cell }, i) => {
    if (cell?.image === image && cell.cell < cells) dense[cell.cell] = sums[i] ?? 0;
  });
  return dense;
}

/** The greatest size among values; 0 for none. */
export function greatest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  return most;
}

/** Ids of a graph's sources: `p<position>` for a word, `c<position>` for a cell of a picture. */
export const sourceId = (position: number, kind: PositionKind) => `${kind === "image" ? "c" : "p"}${position}`;
export const positionOfSource = (id: string) => Number(id.slice(1));

/** The words and cells that carry most of the rows' contributions: the graph's sources, so many of either. */
export function mainSources(rows: readonly TraceRow[], positions: readonly TracePosition[], words: number, cells: number): string[] {
  const sizes = new Float32Array(positions.length);
  for (const { at } of rows) {
    for (let i = 0; i < at.positions.length; i++) {
      const position = at.positions[i] as number;
      if (position < sizes.length) sizes[position] = (sizes[position] as number) + Math.abs(at.values[i] as number);
    }
  }
  const sorted = [...sizes.keys()].filter((i) => (sizes[i] as number) > 0).sort((a, b) => (sizes[b] as number) - (sizes[a] as number));
  const ofKind = (picture: boolean) => sorted.filter((i) => (positions[i]?.kind === "image") === picture);
  return [...ofKind(false).slice(0, words), ...ofKind(true).slice(0, cells)].map((i) => sourceId(i, positions[i]?.kind ?? "text"));
}
