/** Words that a mistyped one may stand for, by the trigrams that they share, as lib/catalog/search-documents.ts asks the database for them. */
import { isOneSlip } from "@/lib/core/one-slip";

export interface NearWord {
  word: string;
  /** Share of trigrams in common, 0..1. */
  likeness: number;
}

/** Words with less in common are not near, whatever else. */
const threshold = 0.2;
/** So much likeness is near; with less, one slip must make the word, and then counts so much. */
const nearEnough = 0.35;
const ofOneSlip = 0.5;
const examined = 64;

/** Trigrams of each run of letters and digits, two blanks before it and one after. */
function trigramsOf(text: string): Set<string>[] {
  return [...text.toLowerCase().matchAll(/[\p{L}\p{M}\p{N}]+/gu)].map(([run]) => {
    const padded = [..."  ", ...run, " "];
    return new Set(Array.from({ length: padded.length - 2 }, (_, i) => padded.slice(i, i + 3).join("")));
  });
}

const union = (sets: readonly Set<string>[]) => new Set(sets.flatMap((set) => [...set]));

/** The greatest likeness of `asked` to any run of whole words of `word`. */
function likenessOf(asked: Set<string>, word: string): number {
  const runs = trigramsOf(word);
  let most = 0;
  for (let from = 0; from < runs.length; from++) {
    for (let to = from + 1; to <= runs.length; to++) {
      const run = union(runs.slice(from, to));
      let common = 0;
      for (const one of run) if (asked.has(one)) common++;
      most = Math.max(most, common / (asked.size + run.size - common));
    }
  }
  return Math.fround(most);
}

/** The nearest of `vocabulary` first, at most `most`. */
export function nearWords(vocabulary: readonly string[], asked: string, most = 8): NearWord[] {
  const trigrams = union(trigramsOf(asked));
  return vocabulary
    .map((word): NearWord => ({ word, likeness: likenessOf(trigrams, word) }))
    .filter(({ likeness }) => likeness >= threshold)
    .sort((a, b) => b.likeness - a.likeness || (a.word < b.word ? -1 : 1))
    .slice(0, examined)
    .map(({ word, likeness }) => ({ word, likeness: isOneSlip(asked.toLowerCase(), word) ? Math.max(likeness, ofOneSlip) : likeness }))
    .filter(({ likeness }) => likeness >= nearEnough)
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, most);
}
