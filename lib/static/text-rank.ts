/**
 * How well a document answers a question of words, by the measures that PostgreSQL publishes under `ts_rank` (how often and where) and `ts_rank_cd` (how
 * near the words stand, after Clarke, Cormack and Tudhope 2000), so that a list in a tab has the order of a server's. A word of a label weighs 1, one
 * of an explanation 0.4.
 */
import { type Entries, type Entry, holds, type Operand, operandsOf, type TextQuery } from "./text-query";

/** Numbers are rounded where the database rounds them: ranks that are equal there are put in order by index, and must be equal here. */
const single = Math.fround;
const [labelWeight, bodyWeight] = [1, single(0.4)];
const weightAt = ({ inLabel }: Entry, i: number) => (inLabel[i] ? labelWeight : bodyWeight);

/** Operands by word, each once, the words in order. */
function distinct(query: TextQuery): Operand[] {
  const sorted = operandsOf(query).toSorted((a, b) => (a.word < b.word ? -1 : a.word > b.word ? 1 : 0));
  return sorted.filter((one, i) => one.word !== sorted[i - 1]?.word);
}

/** Σ 1/i², as far as the database writes it. */
const limitOfSquares = 1.64493406685;

/** Of the places of each word, the weightiest counts whole and the others less the later they come. */
function rankAny(query: TextQuery, entries: Entries): number {
  const operands = distinct(query);
  let sum = 0;
  for (const entry of operands.flatMap((one) => [...entries(one)])) {
    let [all, most, at] = [0, -1, 0];
    for (let i = 0; i < entry.places.length; i++) {
      const weight = weightAt(entry, i);
      all = single(all + single(weight / (i + 1) ** 2));
      if (weight > most) [most, at] = [weight, i];
    }
    const entryRank = single(single(most + all) - single(most / (at + 1) ** 2));
    sum = single(sum + entryRank / limitOfSquares);
  }
  return single(sum / operands.length);
}

const nearness = (distance: number) => single(distance > 100 ? 1e-30 : 1 / (1.005 + 0.05 * Math.exp(single(distance) / 1.5 - 2)));

/** Every two words of a phrase, by how far they stand from each other. */
function rankPairs(query: TextQuery, entries: Entries): number {
  const operands = distinct(query);
  if (operands.length < 2) return rankAny(query, entries);
  // Of an operand that stands for several words, the last one's places are what later operands are compared with.
  const before: (Entry | undefined)[] = [];
  let rank: number | null = null;
  for (const [i, one] of operands.entries()) {
    for (const entry of entries(one)) {
      before[i] = entry;
      for (const other of before.slice(0, i)) {
        if (!other) continue;
        for (const [a, place] of entry.places.entries()) {
          for (const [b, there] of other.places.entries()) {
            const distance = Math.abs(place - there);
            if (distance === 0) continue;
            const near = single(Math.sqrt(single(single(weightAt(entry, a) * weightAt(other, b)) * nearness(distance))));
            rank = single(rank === null ? near : 1 - (1 - rank) * (1 - near));
          }
        }
      }
    }
  }
  return rank ?? 0;
}

/** Of one word or phrase. */
export function rankOf(query: TextQuery, entries: Entries): number {
  return query.kind === "phrase" || query.kind === "and" ? rankPairs(query, entries) : rankAny(query, entries);
}

/** A word form at a place, with the operands that it stands for. */
interface Stand {
  place: number;
  weight: number;
  operands: Set<Operand>;
}

function standsOf(query: TextQuery, entries: Entries): Stand[] {
  const byPlace = new Map<string, Stand & { word: string }>();
  for (const one of operandsOf(query)) {
    for (const entry of entries(one)) {
      for (const [i, place] of entry.places.entries()) {
        const key = `${place} ${entry.word}`;
        const stand = byPlace.get(key) ?? { place, word: entry.word, weight: weightAt(entry, i), operands: new Set() };
        stand.operands.add(one);
        byPlace.set(key, stand);
      }
    }
  }
  return [...byPlace.values()].sort((a, b) => a.place - b.place || (a.word < b.word ? -1 : 1));
}

/** Whether the stands from `from` to `to` answer the question. */
class Window {
  readonly #places = new Map<Operand, Set<number>>();

  constructor(private readonly query: TextQuery) {}

  takes({ place, operands }: Stand): boolean {
    for (const one of operands) {
      const places = this.#places.get(one) ?? new Set();
      this.#places.set(one, places.add(place));
    }
    return holds(this.query, (one) => this.#places.get(one) ?? new Set());
  }
}

/** The shortest run of stands from `from` on that answers the question; null where there is none. */
function coverFrom(query: TextQuery, stands: readonly Stand[], from: number): { first: number; last: number } | null {
  const forwards = new Window(query);
  let last = from;
  while (last < stands.length && !forwards.takes(stands[last] as Stand)) last++;
  if (last >= stands.length) return null;
  const backwards = new Window(query);
  let first = last;
  while (first > from && !backwards.takes(stands[first] as Stand)) first--;
  return { first, last };
}

/** Of several words or phrases: the sum over the runs that hold them all, the shorter and weightier the more. */
export function rankTogether(query: TextQuery, entries: Entries): number {
  const stands = standsOf(query, entries);
  let rank = 0;
  let from = 0;
  for (;;) {
    const cover = coverFrom(query, stands, from);
    if (!cover) return single(rank);
    const run = stands.slice(cover.first, cover.last + 1);
    const between = (run.at(-1) as Stand).place - (run[0] as Stand).place - (run.length - 1);
    const noise = between < 0 ? Math.floor((run.length - 1) / 2) : between;
    rank += run.length / run.reduce((sum, { weight }) => sum + 1 / weight, 0) / (1 + noise);
    from = cover.first + 1;
  }
}
