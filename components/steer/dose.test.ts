import { describe, expect, it } from "vitest";
import type { Arm, Receipt } from "@/lib/core/protocol";
import { breakage, leastSureness, repeated, sureness } from "./breakage";
import { doseCurve, doseValues, newWords, wordsToWatch } from "./dose";
import { describeDose, doseName, readStrengths } from "./dose-words";
import sweeps from "./fixtures/demo-sweeps.json";
import { type ArmRun, noRun, type RunState } from "./run-state";

const clamp = { op: "set", unit: "max", value: 4 } as const;
const plain = "a flag of poland at the top on an orange background";

function arm(name: Arm, text: string, over: Partial<Receipt> = {}): ArmRun {
  const receipt = { arm: name, outcome: "steered", text, finish: "stop", ...over } as Receipt;
  return { arm: name, tokens: [], receipt };
}
const point = (i: number, value: number, text: string, over: Partial<Receipt> = {}) =>
  arm(`sweep:${i}`, text, { sweep: { point: i, clamp: 0, value }, ...over });
const run = (...arms: ArmRun[]): RunState => ({
  ...noRun,
  status: "done",
  sweep: { clamp: { feature: 7, op: "set", unit: "max", scope: { type: "image" } }, values: [0, 2, 8] },
  arms: [arm("steered", "a lemon"), arm("baseline", plain, { outcome: "baseline" }), ...arms],
});
const watched = (peak: number) => [{ word: "lemon", first: Math.log(0.01), peak: Math.log(peak), peakAt: 1 }];

describe("the strengths of a curve", () => {
  it("are seven, in the clamp's own unit, the other way for a negative one", () => {
    expect(doseValues(clamp, 50)).toEqual([0, 1, 2, 4, 6, 8, 12]);
    expect(doseValues({ ...clamp, value: -1 }, 50)).toEqual([-12, -8, -6, -4, -2, -1, 0]);
    expect(doseValues({ ...clamp, op: "scale" }, 50)).toHaveLength(7);
    expect(doseValues({ ...clamp, unit: "raw", value: 20 }, 50)).toEqual([0, 50, 100, 200, 300, 400, 600]);
    expect(doseValues({ ...clamp, unit: "raw", value: 20 }, null)).toEqual([0, 5, 10, 20, 30, 40, 60]);
    expect(Math.max(...doseValues({ ...clamp, unit: "raw" }, 900))).toBe(1_000);
  });

  it("are read as people write them, or refused with a sentence", () => {
    expect(readStrengths("8, −2 0;1 1").values).toEqual([-2, 0, 1, 8]);
    expect(readStrengths("1, much").refusal).toBe("“much” is not a number.");
    expect(readStrengths("1e9").refusal).toBe("1e9 is outside −1,000 to 1,000.");
    expect(readStrengths(" ").refusal).toBe("Give at least one strength.");
    expect(readStrengths(Array.from({ length: 17 }, (_, i) => i).join()).refusal).toContain("at most 16");
  });
});

it("watches what the feature is called, what steering brought and what it took", () => {
  expect(wordsToWatch("a red lemon", "a lemon at the top", "a dog at the top")).toEqual(["lemon", "dog"]);
  expect(wordsToWatch("heart", "a lemon", "a dog")).toEqual(["heart", "lemon", "dog"]);
  expect(wordsToWatch(null, "", "")).toEqual([]);
  expect(wordsToWatch("things that stand at the top of a picture", "a", "the")).toEqual([]);
  expect(newWords([{ answer: "a lemon" }, { answer: "a lemon tree" }], "a dog")).toEqual(["lemon", "dog", "tree"]);
});

describe("a broken answer", () => {
  const ends = (text: string) => ({ text, finish: "stop" as const, logprobs: [0] });
  it("loops, is empty, does not end or is one word, where the plain one does not", () => {
    expect(breakage(ends("sun sun sun sun"), ends(plain))).toBe("it repeats “sun”");
    expect(breakage(ends("a sun at a sun at a sun at"), ends(plain))).toBe("it repeats “a sun at”");
    expect(breakage(ends(" "), ends(plain))).toBe("it is empty");
    expect(breakage({ ...ends("a dog and"), finish: "length" }, ends(plain))).toBe("it does not end");
    expect(breakage(ends("crab"), ends(plain))).toBe("one word is left of it");
  });
  it("is not what the model writes without a clamp too, nor a changed answer", () => {
    expect(breakage(ends("yes"), ends("no"))).toBeNull();
    expect(breakage({ ...ends("a dog and"), finish: "length" }, { ...ends("a cat and"), finish: "length" })).toBeNull();
    expect(breakage(ends("no no no"), ends("no no no no"))).toBeNull();
    expect(breakage(ends("a lemon at the top, a lemon in the middle"), ends(plain))).toBeNull();
    expect(repeated("a dog, a cat, a pig")).toBeNull();
  });
});

describe("an answer that the model is at a loss for", () => {
  const said = (text: string, probability: number) => ({ text, finish: "stop" as const, logprobs: [0, 2 * Math.log(probability)] });

  it("is told by its tokens' probabilities against the plain answer's, and not of answers of a word", () => {
    expect(sureness([Math.log(0.5), Math.log(0.125)])).toBeCloseTo(0.25);
    expect(sureness([])).toBeNull();
    expect(breakage(said("a green heart at the green", 0.62), said(plain, 1))).toBe(
      "its tokens are 62 % likely on average, the plain answer’s 100 %",
    );
    expect(breakage(said("a green heart at the top", 0.62), said(plain, 0.8))).toBeNull();
    expect(breakage(said("a green heart at the top", leastSureness + 0.001), said(plain, 1))).toBeNull();
    expect(breakage(said("yes", 0.5), said("no", 1))).toBeNull();
  });

  it("finds most broken captions of real sweeps of the demo's model, and calls no whole one broken", () => {
    const found = { whole: 0, broken: 0, wrongly: 0, byForm: 0, all: 0 };
    for (const { baseline, points } of sweeps) {
      const without = { text: baseline.text, finish: "stop" as const, logprobs: [baseline.meanLogprob] };
      for (const { text, finish, meanLogprob, wellFormed } of points) {
        const answer = { text, finish: finish as Receipt["finish"], logprobs: [meanLogprob] };
        const marked = breakage(answer, without) !== null;
        found[wellFormed ? "whole" : "broken"]++;
        if (marked && wellFormed) found.wrongly++;
        if (marked && !wellFormed) found.all++;
        // What the text alone gave away before.
        if (!wellFormed && breakage({ ...answer, logprobs: [] }, without) !== null) found.byForm++;
      }
    }
    expect(found).toEqual({ whole: 66, broken: 24, byForm: 18, all: 22, wrongly: 0 });
  });
});

describe("a curve", () => {
  const curve = doseCurve(
    run(
      point(2, 8, "sun sun sun", { watched: watched(0.4), fromBaseline: 1 }),
      point(0, 0, plain, { outcome: "unchanged", watched: watched(0.001), fromBaseline: 0 }),
      point(1, 2, "a lemon at the top on an orange background", { watched: watched(0.9), fromBaseline: 0.1 }),
    ),
  );

  it("is in order of strength, with what changed at each", () => {
    expect(curve?.points.map(({ value, broken }) => [value, broken])).toEqual([
      [0, null],
      [2, null],
      [8, "it repeats “sun”"],
    ]);
    expect(curve?.points.map(({ distance }) => distance)).toEqual([0, 0.1, 1]);
    expect(curve?.points[0]?.changed).toBe(0);
    expect(curve?.points[1]?.watched[0]?.peak).toBeCloseTo(0.9);
    expect(curve?.words).toEqual(["lemon"]);
  });

  it("is said in a sentence: where it works and where it breaks", () => {
    expect(curve && describeDose(curve)).toBe(
      "The answer changes at 2 × max for the first time. It breaks at 8 × max: it repeats “sun”. “lemon” is likeliest at 2 × max (90 %).",
    );
    const still = doseCurve(run(point(0, 0, plain), point(1, 2, plain), point(2, 8, plain)));
    expect(still && describeDose(still)).toBe("No strength that was tried changes the answer.");
    expect(doseName(-0.5, { op: "scale", unit: "max" })).toBe("−0.5 × its own");
  });

  it("waits with its sentence until every point has ended, and is none where nothing was tried", () => {
    const half = doseCurve(run(point(0, 0, plain), { arm: "sweep:1", tokens: [], receipt: null }));
    expect(half && describeDose(half)).toBe("");
    expect(half?.points.map(({ value }) => value)).toEqual([0, 2]);
    expect(doseCurve({ ...noRun, arms: [arm("steered", "a dog")] })).toBeNull();
  });

  it("is read from receipts alone where the run came from elsewhere", () => {
    const clamps = [{ feature: 7, op: "set", unit: "max", scope: { type: "image" } }] as Receipt["clamps"];
    const opened = doseCurve({ ...run(point(0, 0, plain, { clamps }), point(1, 2, "a lemon", { clamps })), sweep: undefined });
    expect(opened?.clamp.feature).toBe(7);
    expect(opened?.points.map(({ value }) => value)).toEqual([0, 2]);
  });
});
