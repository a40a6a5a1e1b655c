/**
 * Mending an answer: the smallest set of clamps, among the features that contributed most, under which the model answers right, and what that costs
 * elsewhere. Pure: whoever calls it says how a request is run, so that the page and a measurement search alike.
 */
import type { Intervention, Scope } from "./protocol";

export interface MendCandidate {
  feature: number;
  /** To what was said against what is right: positive where it speaks for the wrong answer. */
  contribution: number;
  /** Where it acts: where the contribution comes from. */
  scope: Scope;
}

/** One clamp tried at several strengths beside others that stay: an arm each. */
export interface MendAttempt {
  fixed: Intervention[];
  /** Its `value` is none of the tried ones. */
  swept: Intervention;
  values: number[];
}

export interface MendAnswer {
  text: string;
  right: boolean;
  /** How near to the right answer, the greater the nearer: such as the log-probability of the right answer's beginning. Null where unknown. */
  nearness: number | null;
}

/** Gives one answer for each of the attempt's values, in their order. What it throws ends the search. */
export type MendRun = (attempt: MendAttempt, signal: AbortSignal) => Promise<MendAnswer[]>;

export interface Mending {
  clamps: Intervention[];
  answer: MendAnswer;
  /** Share of the panel's answers that these clamps change, 0..1; null where it was not asked. */
  harm: number | null;
}

export interface MendProgress {
  /** How many clamps are tried together. */
  size: number;
  phase: "search" | "panel";
  /** Answers read in this phase of this size, of as many. */
  done: number;
  total: number;
  /** Sets of this size that make the answer right. */
  found: number;
}

export interface MendOptions {
  candidates: readonly MendCandidate[];
  run: MendRun;
  /** Share of the panel's answers that the clamps change; without it the gentlest set is taken. */
  harmOf?: (clamps: Intervention[], signal: AbortSignal) => Promise<number>;
  signal: AbortSignal;
  onProgress?: (progress: MendProgress) => void;
  /** Largest set. */
  maxClamps?: number;
  /** Harm up to which a set is taken without looking for a less harmful, larger one. */
  maxHarm?: number;
  /** How many unfinished sets of one size are made larger. */
  beam?: number;
  /** How many sets of one size are asked what they cost. */
  weighed?: number;
  /** Attempts under way at a time. */
  concurrency?: number;
  grid?: (candidate: MendCandidate) => GridLine[];
}

export interface GridLine {
  op: "scale" | "set";
  values: number[];
}

export interface MendResult {
  /** Least harm first, then the gentlest; empty where no set was found. All of one size. */
  found: Mending[];
  /** Where none was found: the set that came nearest. */
  nearest: Mending | null;
  /** Answers that were read, those of the panel apart. */
  answers: number;
  /** The largest set that was tried. */
  size: number;
}

export const mendDefaults = { maxClamps: 3, maxHarm: 0.02, beam: 4, weighed: 4, concurrency: 2 } as const;

/**
 * What is tried of a feature. One that speaks for the wrong answer is removed, then turned; one that speaks for the right answer is multiplied, then set.
 * Scaling changes only what is there, so it costs least elsewhere.
 */
export function usualGrid({ contribution }: MendCandidate): GridLine[] {
  if (contribution > 0) return [{ op: "scale", values: [0, -1, -2] }];
  return [
    { op: "scale", values: [2, 4] },
    { op: "set", values: [1, 2, 4] },
  ];
}

/** How much of the feature's share must come from one kind of position for the clamp to act there alone. */
const mostly = 0.9;

/** Where a clamp on a feature acts that contributed so much from the picture and from the words. */
export function scopeOf(image: number, text: number): Scope {
  const whole = Math.abs(image) + Math.abs(text);
  if (whole > 0 && Math.abs(image) / whole >= mostly) return { type: "image" };
  if (whole > 0 && Math.abs(text) / whole >= mostly) return { type: "prompt" };
  return { type: "all" };
}

/** How far a clamp goes from leaving the feature as it is; sets are compared by the sum. */
export function strengthOf({ op, value }: Intervention): number {
  if (op === "scale") return Math.abs(value - 1);
  if (op === "ablate") return 1;
  // Setting acts where the feature was not, too.
  return 1 + Math.abs(value);
}

const totalStrength = (clamps: readonly Intervention[]) => clamps.reduce((sum, clamp) => sum + strengthOf(clamp), 0);
const keyOf = (clamps: readonly Intervention[]) =>
  clamps
    .map(({ feature, op, value, scope }) => `${feature}${op}${value}${scope.type}`)
    .sort()
    .join();
const nearnessOf = ({ answer }: Mending) => answer.nearness ?? Number.NEGATIVE_INFINITY;

/** Works through tasks, so many at a time; the first failure ends all and is thrown. */
async function pooled<T>(tasks: readonly T[], concurrency: number, work: (task: T) => Promise<void>): Promise<void> {
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (!failed && next < tasks.length) {
      const task = tasks[next++] as T;
      try {
        await work(task);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, tasks.length) }, worker));
}

/** Every way to add one candidate to the sets at hand, once each. */
function attemptsOf(sets: readonly Intervention[][], candidates: readonly MendCandidate[], grid: (c: MendCandidate) => GridLine[]) {
  const seen = new Set<string>();
  const attempts: MendAttempt[] = [];
  for (const fixed of sets) {
    for (const candidate of candidates) {
      if (fixed.some(({ feature }) => feature === candidate.feature)) continue;
      for (const { op, values } of grid(candidate)) {
        const swept: Intervention = { feature: candidate.feature, op, value: values[0] ?? 1, unit: "max", scope: candidate.scope };
        const fresh = values.filter((value) => {
          const key = keyOf([...fixed, { ...swept, value }]);
          return !seen.has(key) && seen.add(key);
        });
        if (fresh.length > 0) attempts.push({ fixed, swept, values: fresh });
      }
    }
  }
  return attempts;
}

/**
 * The search. Every single clamp of the grid is tried; where none is enough (or each harms too much), the nearest few are made larger by one, up to
 * `maxClamps`. Of the sets of one size that answer right, the gentlest few are asked what they cost. Rejects with the signal's reason when it aborts.
 */
export async function mend(options: MendOptions): Promise<MendResult> {
  const { candidates, run, harmOf, signal, onProgress } = options;
  const { maxClamps, maxHarm, beam, weighed, concurrency } = { ...mendDefaults, ...options };
  const grid = options.grid ?? usualGrid;
  let sets: Intervention[][] = [[]];
  let answers = 0;
  let size = 0;
  let nearest: Mending | null = null;
  /** Right, but more harmful than is wanted. */
  let costly: Mending[] = [];
  while (size < maxClamps) {
    const attempts = attemptsOf(sets, candidates, grid);
    if (attempts.length === 0) break;
    size += 1;
    const total = attempts.reduce((sum, { values }) => sum + values.length, 0);
    const tried: Mending[] = [];
    const report = (phase: MendProgress["phase"], done: number, of: number) =>
      onProgress?.({ size, phase, done, total: of, found: tried.filter(({ answer }) => answer.right).length });
    report("search", 0, total);
    await pooled(attempts, concurrency, async (attempt) => {
      signal.throwIfAborted();
      const read = await run(attempt, signal);
      signal.throwIfAborted();
      answers += read.length;
      read.forEach((answer, i) => {
        tried.push({ clamps: [...attempt.fixed, { ...attempt.swept, value: attempt.values[i] as number }], answer, harm: null });
      });
      report("search", tried.length, total);
    });
    // The order in which answers came in says nothing.
    tried.sort((a, b) => totalStrength(a.clamps) - totalStrength(b.clamps) || keyOf(a.clamps).localeCompare(keyOf(b.clamps)));
    const right = tried.filter(({ answer }) => answer.right).sort((a, b) => totalStrength(a.clamps) - totalStrength(b.clamps));
    if (right.length > 0 && !harmOf) return { found: right, nearest: null, answers, size };
    if (right.length > 0 && harmOf) {
      const chosen = right.slice(0, weighed);
      for (const [i, mending] of chosen.entries()) {
        report("panel", i, chosen.length);
        signal.throwIfAborted();
        mending.harm = await harmOf(mending.clamps, signal);
        signal.throwIfAborted();
      }
      chosen.sort((a, b) => (a.harm ?? 1) - (b.harm ?? 1) || totalStrength(a.clamps) - totalStrength(b.clamps));
      if ((chosen[0]?.harm ?? 1) <= maxHarm) return { found: chosen, nearest: null, answers, size };
      if ((chosen[0]?.harm ?? 1) < (costly[0]?.harm ?? Number.POSITIVE_INFINITY)) costly = chosen;
    }
    const wrong = tried.filter(({ answer }) => !answer.right).sort((a, b) => nearnessOf(b) - nearnessOf(a));
    if (wrong[0] && (!nearest || nearnessOf(wrong[0]) > nearnessOf(nearest))) nearest = wrong[0];
    sets = distinctFeatures(wrong, beam).map(({ clamps }) => clamps);
  }
  return { found: costly, nearest: costly.length ? null : nearest, answers, size };
}

/** The first few whose features are others: several strengths of one feature would fill the beam with the same idea. */
function distinctFeatures(sorted: readonly Mending[], count: number): Mending[] {
  const taken = new Map<string, Mending>();
  for (const mending of sorted) {
    const features = mending.clamps
      .map(({ feature }) => feature)
      .sort((a, b) => a - b)
      .join();
    if (!taken.has(features)) taken.set(features, mending);
    if (taken.size === count) break;
  }
  return [...taken.values()];
}

/** An answer without what does not change what it says: case, spaces, full stops at its end. */
export const plainAnswer = (text: string) =>
  text
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim()
    .replace(/[\s.!]+$/u, "");

/** Whether an answer says what is right: it is the same words, or begins with them. */
export function saysRight(answer: string, right: string): boolean {
  const [given, wanted] = [plainAnswer(answer), plainAnswer(right)];
  if (wanted === "" || !given.startsWith(wanted)) return false;
  return !/^[\p{L}\p{N}'’-]/u.test(given.slice(wanted.length));
}

/**
 * The word whose probability says how near an answer is to the right one: the first in which the right answer parts from the wrong one, and whether
 * that is the answer's very first. Null where they do not part.
 */
export function partingWord(wrong: string, right: string): { word: string; first: boolean } | null {
  const [said, wanted] = [plainAnswer(wrong).split(" "), plainAnswer(right).split(" ")];
  const at = wanted.findIndex((word, i) => word !== said[i]);
  const word = wanted[at]?.replace(/[,;:]+$/u, "");
  return word ? { word, first: at === 0 } : null;
}

export interface PanelAnswer {
  /** What the model answers by itself, and under the clamps. */
  before: string;
  after: string;
}

/** Share of answers that the clamps change, 0..1; 0 for none asked. */
export function changedShare(answers: readonly PanelAnswer[]): number {
  if (answers.length === 0) return 0;
  return answers.filter(({ before, after }) => plainAnswer(before) !== plainAnswer(after)).length / answers.length;
}
