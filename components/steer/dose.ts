/** A dose curve: one clamp at several strengths, and what comes of each. */
import { type Arm, limits, type Receipt } from "@/lib/core/protocol";
import type { LinkedClamp } from "@/lib/core/steer-link";
import { splitWords, wordDistance } from "@/lib/core/word-diff";
import { breakage, type JudgedAnswer } from "./breakage";
import { type ArmRun, isSweepArm, type RunState, type RunSweep, textOf } from "./run-state";

/** Strengths in units of the feature's own maximum, and factors of its own activation: from what does nothing to what breaks most answers. */
const inMaxima = [0, 1, 2, 4, 6, 8, 12];
const asFactors = [0, 0.5, 1, 2, 4, 8, 16];

/** Seven strengths for a clamp, the other way where it is negative. Raw ones are counted in its maximum where that is known, else in its own strength. */
export function doseValues({ op, unit, value }: Pick<LinkedClamp, "op" | "unit" | "value">, maxActivation: number | null): number[] {
  if (op === "scale") return asFactors;
  const direction = value < 0 ? -1 : 1;
  const known = maxActivation !== null && maxActivation > 0;
  const size = unit === "max" ? 1 : known ? maxActivation : Math.abs(value) / 4 || 1;
  const rounded = (strength: number) => Number((strength * size).toPrecision(3));
  const inside = inMaxima.map((strength) => Math.min(limits.value, rounded(strength)) * direction + 0);
  return [...new Set(inside)].sort((a, b) => a - b);
}

/** Words that say little of what an answer is about. */
const plain = new Set("a an and at the of in on is are it its to there with no not yes he she they i you that this".split(" "));
const spelled = (word: string) => word.trim().toLowerCase();
const tells = (word: string) => /^\p{L}[\p{L}'’-]+$/u.test(word) && !plain.has(word);

/** The words of one text that another lacks, in order. */
function without(text: string, other: string): string[] {
  const there = new Set(splitWords(other).map(spelled));
  return [...new Set(splitWords(text).map(spelled))].filter((word) => tells(word) && !there.has(word));
}

/** What to watch where nothing was chosen: what the feature is called, what steering brought and what it took, as far as that is known. */
export function wordsToWatch(label: string | null, steered: string, baseline: string): string[] {
  const named = (label ?? "")
    .split(/[^\p{L}'’-]+/u)
    .map(spelled)
    .filter(tells);
  // A long label is a description, of which no word is the thing.
  const thing = named.length > 0 && named.length <= 3 ? [named.at(-1) as string] : [];
  return [...new Set([...thing, ...without(steered, baseline).slice(0, 1), ...without(baseline, steered).slice(0, 1)])].slice(0, 3);
}

export interface DosePoint {
  arm: Arm;
  value: number;
  run: ArmRun;
  answer: string;
  /** Null until the point has ended. */
  receipt: Receipt | null;
  /** Why the answer is no good any more, in words; null where it is well. */
  broken: string | null;
  /** Of the first token's distribution from the baseline's, 0 to 1; null where it was not measured. */
  distance: number | null;
  /** Share of words that the baseline's answer has not, or that it has and this one lacks; null until both have ended. */
  changed: number | null;
  /** Of each watched word the largest probability anywhere in the answer, and that at its beginning. */
  watched: { peak: number; first: number }[];
}

export interface DoseCurve {
  clamp: RunSweep["clamp"];
  /** By strength. */
  points: DosePoint[];
  words: string[];
  /** The same of the model's plain answer. */
  baseline: DosePoint["watched"];
}

/** The clamp and its strengths as the run says them, or as its receipts do where it was opened from elsewhere. */
function sweepIn(run: RunState): RunSweep | null {
  if (run.sweep) return run.sweep;
  const swept = run.arms.flatMap(({ receipt }) => (receipt?.sweep ? [{ receipt, sweep: receipt.sweep }] : []));
  const clamp = swept[0]?.receipt.clamps[swept[0].sweep.clamp];
  if (!clamp) return null;
  const values = swept.toSorted((a, b) => a.sweep.point - b.sweep.point).map(({ sweep }) => sweep.value);
  return { clamp, values };
}

const watchedOf = (receipt: Receipt | null | undefined) =>
  (receipt?.watched ?? []).map(({ peak, first }) => ({ peak: Math.exp(peak), first: Math.exp(first) }));

function judged({ receipt, tokens }: ArmRun): JudgedAnswer | null {
  return receipt && { text: receipt.text, finish: receipt.finish, logprobs: tokens.map(({ logprob }) => logprob) };
}

/** What a run says of one clamp's strength; null where it tried none. */
export function doseCurve(run: RunState): DoseCurve | null {
  const sweep = sweepIn(run);
  if (!sweep) return null;
  const baseline = run.arms.find(({ arm }) => arm === "baseline");
  const plain = baseline ? judged(baseline) : null;
  const points = run.arms.flatMap((own): DosePoint[] => {
    if (!isSweepArm(own.arm)) return [];
    const { receipt } = own;
    const value = receipt?.sweep?.value ?? sweep.values[Number(own.arm.slice("sweep:".length))];
    if (value === undefined) return [];
    const ended = receipt !== null && receipt.finish !== "cancelled";
    const answer = judged(own);
    return [
      {
        arm: own.arm,
        value,
        run: own,
        answer: textOf(own),
        receipt,
        broken: ended && answer ? breakage(answer, plain) : null,
        distance: receipt?.fromBaseline ?? null,
        changed: ended && baseline?.receipt ? wordDistance(receipt.text, baseline.receipt.text) : null,
        watched: watchedOf(receipt),
      },
    ];
  });
  const words = points.find(({ receipt }) => receipt?.watched)?.receipt?.watched?.map(({ word }) => word) ?? [];
  return { clamp: sweep.clamp, points: points.sort((a, b) => a.value - b.value), words, baseline: watchedOf(baseline?.receipt) };
}

/** Words that some strength brought or took, the most frequent first: what is worth following. */
export function newWords(points: readonly Pick<DosePoint, "answer">[], baseline: string): string[] {
  const counts = new Map<string, number>();
  for (const { answer } of points) {
    for (const word of [...without(answer, baseline), ...without(baseline, answer)]) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a).map(([word]) => word);
}
