/** Words whose probability a request asks for: the tokens that each can begin with, and what an arm's answer makes of them. */
import { FacetError } from "@/lib/core/errors";
import type { Receipt, WatchedWord } from "@/lib/core/protocol";
import type { TextCodec } from "./text";

/** ln of a probability of zero, which JSON cannot say. */
const never = -1e9;

/** Throws `word_unknown`, with the word in “quotes”, for one that the model has no token for. */
export function watchedWords(words: readonly string[], codec: TextCodec): WatchedWord[] {
  return words.map((word) => {
    const spellings = codec.spellings(word);
    if (spellings.length === 0) {
      throw new FacetError("word_unknown", `The model has no token for “${word}”, so its probability cannot be watched.`);
    }
    const ids = [...new Set(spellings.map(([first]) => first as number))];
    return { word, ids, whole: spellings.every((spelling) => spelling.length === 1) };
  });
}

/** The log-probabilities of watched words over the places of one answer. */
export class WatchLedger {
  private readonly seen: NonNullable<Receipt["watched"]> = [];

  constructor(private readonly words: readonly WatchedWord[]) {}

  /** Notes place `i`, from 0 upwards; returns each word's log-probability there. */
  record(i: number, logprobs: Float64Array): number[] {
    return this.words.map(({ word, ids }, index) => {
      const probability = ids.reduce((sum, id) => sum + Math.exp(logprobs[id] as number), 0);
      // Far below 1e-308 a probability is zero in double precision, and its logarithm is not.
      const value = Math.max(probability > 0 ? Math.log(probability) : Math.max(...ids.map((id) => logprobs[id] as number)), never);
      const known = this.seen[index];
      if (!known) this.seen[index] = { word, first: value, peak: value, peakAt: i };
      else if (value > known.peak) Object.assign(known, { peak: value, peakAt: i });
      return value;
    });
  }

  tally(): NonNullable<Receipt["watched"]> {
    return this.seen.map((word) => ({ ...word }));
  }
}

/** Half the sum of absolute differences between two distributions given as log-probabilities: 0 (the same) to 1. */
export function totalVariation(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += Math.abs(Math.exp(a[i] as number) - Math.exp(b[i] as number));
  return Math.min(1, sum / 2);
}
