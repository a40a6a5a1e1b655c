/** Counts of bench/mistakes.ts, with 95 % intervals: how often attribution finds the wrongly claimed thing, and how often clamps mend an answer. */
import type { Intervention } from "@/lib/core/protocol";
import { shareWithInterval as share } from "@/lib/core/share-interval";

export interface Row {
  feature: number;
  label: string | null;
  contribution: number;
  image: number;
  text: number;
  /** Whether its label is the wrongly claimed thing. */
  names: boolean;
}

export interface Mistake {
  kind: "emotion" | "presence";
  seed: number;
  question: string;
  said: string;
  right: string;
  /** What the wrong answer claims to be there, as labels name it; empty where it claims none. */
  thing: string;
  /** Features of the dictionary whose label is `thing`. */
  labelled: number;
  /** Features that are active on the prompt. */
  active: number;
  top: Row[];
  random: Row[];
}

export interface Mended {
  right: boolean;
  clamps: Intervention[];
  harm: number | null;
  /** Answers that the search read, those of the panel apart. */
  answers: number;
}

export interface Done {
  key: string;
  attributed: Mended;
  random: Mended;
  hint: { right: boolean; harm: number };
}

/** Harm above this is not little. */
const little = 0.02;

export const keyOf = ({ kind, seed, question }: Mistake) => `${kind} ${seed} ${question}`;

/** Wrong feelings, “yes” to what is not there, “no” to what is: the three are mended apart. */
export const groups: Record<string, (mistake: Mistake) => boolean> = {
  emotion: ({ kind }) => kind === "emotion",
  hallucination: ({ kind, thing }) => kind === "presence" && thing !== "",
  denial: ({ kind, thing }) => kind === "presence" && thing === "",
};

const harmless = ({ right, harm }: { right: boolean; harm: number | null }) => right && (harm ?? 1) <= little;

/**
 * What twenty of the active features, drawn blindly, would find at most: 1 − C(active − labelled, 20) / C(active, 20), as if all features of the thing
 * were active. Which of them are is not kept.
 */
export function chanceAtMost({ active, labelled, top }: Pick<Mistake, "active" | "labelled" | "top">): number {
  let none = 1;
  for (let drawn = 0; drawn < top.length; drawn++) none *= Math.max(0, active - labelled - drawn) / (active - drawn);
  return 1 - none;
}

const mean = (values: number[]) => (values.length ? values.reduce((sum, x) => sum + x, 0) / values.length : null);

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null;

/** One group: `mistakes` are all of it, `tried` those that were mended. */
export function summary(mistakes: readonly Mistake[], tried: readonly { mistake: Mistake; done: Done }[]) {
  const claims = mistakes.filter(({ thing }) => thing !== "");
  const known = claims.filter(({ labelled }) => labelled > 0);
  const found = (rows: (mistake: Mistake) => Row[]) =>
    share(known.filter((one) => rows(one).some(({ names }) => names)).length, known.length);
  const counted = (of: (done: Done) => { right: boolean; harm: number | null }) => ({
    right: share(tried.filter(({ done }) => of(done).right).length, tried.length),
    rightWithLittleHarm: share(tried.filter(({ done }) => harmless(of(done))).length, tried.length),
  });
  const searched = (arm: "attributed" | "random") => {
    const mended = tried.filter(({ done }) => harmless(done[arm]));
    return {
      ...counted((done) => done[arm]),
      clamps: [1, 2, 3].map((size) => mended.filter(({ done }) => done[arm].clamps.length === size).length),
      medianAnswers: median(tried.map(({ done }) => done[arm].answers)),
    };
  };
  const naming = (mistake: Mistake, { clamps }: Mended) => {
    return clamps.some(({ feature }) => mistake.top.some((row) => row.names && row.feature === feature));
  };
  const pair = (attributed: boolean, random: boolean) =>
    tried.filter(({ done }) => harmless(done.attributed) === attributed && harmless(done.random) === random).length;
  const mended = tried.filter(({ done }) => harmless(done.attributed));
  return {
    mistakes: mistakes.length,
    claims: claims.length,
    claimsOfThingsWithFeature: known.length,
    thingInTop20: known.length
      ? { attributed: found(({ top }) => top), random: found(({ random }) => random), chanceAtMost: mean(known.map(chanceAtMost)) }
      : null,
    mended: { attributed: searched("attributed"), random: searched("random"), hint: counted(({ hint }) => hint) },
    /** Of those that the attributed features mend with little harm, how many by a clamp on the claimed thing's own feature. */
    mendedByTheThing: share(mended.filter(({ mistake, done }) => naming(mistake, done.attributed)).length, mended.length),
    /** Mended with little harm: the same mistakes by both. */
    pairs: { both: pair(true, true), attributedAlone: pair(true, false), randomAlone: pair(false, true), neither: pair(false, false) },
  };
}
