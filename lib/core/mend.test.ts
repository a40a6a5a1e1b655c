import { describe, expect, it } from "vitest";
import { changedShare, type MendCandidate, type MendOptions, type MendProgress, mend, partingWord, saysRight, scopeOf } from "./mend";
import type { Intervention } from "./protocol";

const image = { type: "image" } as const;
const candidate = (feature: number, contribution: number): MendCandidate => ({ feature, contribution, scope: image });
const going = () => new AbortController().signal;

/** A model whose answer is "yes" while its evidence is above zero: each feature adds its weight times the clamp's factor. */
function judge(weights: Record<number, number>, bias = 0) {
  const tried: Intervention[][] = [];
  const evidence = (clamps: Intervention[]) =>
    Object.entries(weights).reduce((sum, [feature, weight]) => {
      const clamp = clamps.find((one) => one.feature === Number(feature));
      if (!clamp) return sum + weight;
      return sum + weight * clamp.value;
    }, bias);
  const run: MendOptions["run"] = async ({ fixed, swept, values }) =>
    values.map((value) => {
      const clamps = [...fixed, { ...swept, value }];
      tried.push(clamps);
      const sum = evidence(clamps);
      return { text: sum > 0 ? "yes" : "no", right: sum <= 0, nearness: -sum };
    });
  return { run, tried };
}

describe("mend", () => {
  it("finds one clamp where one is enough, the gentlest first, and tries no pair", async () => {
    const { run, tried } = judge({ 1: 3, 2: 1, 3: -1 });
    const result = await mend({ candidates: [candidate(1, 3), candidate(2, 1), candidate(3, -1)], run, signal: going() });
    // Without feature 1 the evidence is 0; feature 3, which speaks against, has to be multiplied by four.
    expect(result.found[0]?.clamps).toEqual([{ feature: 1, op: "scale", value: 0, unit: "max", scope: image }]);
    expect(result.size).toBe(1);
    expect(tried.every((clamps) => clamps.length === 1)).toBe(true);
    expect(result.answers).toBe(tried.length);
  });

  it("joins clamps where none alone is enough, none of them for nothing", async () => {
    const { run } = judge({ 1: 2, 2: 2, 3: 2 }, 1);
    const all = [1, 2, 3].map((feature) => candidate(feature, 2));
    const removal = () => [{ op: "scale" as const, values: [0] }];
    const result = await mend({ candidates: all, run, signal: going(), grid: removal, maxClamps: 3 });
    expect(result.found).toEqual([]);
    expect(result.nearest?.clamps).toHaveLength(3);
    const turning = await mend({
      candidates: all,
      run: judge({ 1: 2, 2: 2, 3: 2 }).run,
      signal: going(),
      grid: () => [{ op: "scale", values: [0, -1] }],
    });
    expect(turning.size).toBe(2);
    expect(turning.found[0]?.clamps.map(({ value }) => value)).toEqual([-1, 0]);
  });

  it("takes the set that costs least, and a larger one where every smaller one costs too much", async () => {
    const { run } = judge({ 1: 2, 2: 2, 3: -1 });
    const candidates = [candidate(1, 2), candidate(2, 2), candidate(3, -1)];
    const harmOf = async (clamps: Intervention[]) => (clamps.some(({ feature }) => feature === 3) ? 0 : 0.5);
    const least = await mend({ candidates, run, harmOf, signal: going(), weighed: 50 });
    expect(least.found[0]).toMatchObject({ harm: 0, clamps: [{ feature: 3, op: "scale", value: 4 }] });
    const turned = async (clamps: Intervention[]) => Math.max(...clamps.map(({ value }) => (value < 0 || value > 1 ? 0.5 : 0)));
    const larger = await mend({ candidates, run, harmOf: turned, signal: going() });
    expect(larger.size).toBe(2);
    expect(larger.found[0]).toMatchObject({ harm: 0, clamps: [{ value: 0 }, { value: 0 }] });
    const never = await mend({ candidates, run, harmOf: async () => 0.3, signal: going() });
    expect(never.found[0]?.harm).toBe(0.3);
  });

  it("reports how far it is, keeps to so many at a time, and ends at once when it is cancelled", async () => {
    const { run } = judge({ 1: 9 });
    const seen: MendProgress[] = [];
    let busy = 0;
    let most = 0;
    const slow: MendOptions["run"] = async (attempt, signal) => {
      most = Math.max(most, ++busy);
      await new Promise((resolve) => setTimeout(resolve, 1));
      busy -= 1;
      return run(attempt, signal);
    };
    const candidates = Array.from({ length: 12 }, (_, i) => candidate(i + 2, 1));
    const quitting = new AbortController();
    const onProgress = (now: MendProgress) => {
      seen.push(now);
      if (now.done >= 9) quitting.abort(new Error("enough"));
    };
    await expect(mend({ candidates, run: slow, signal: quitting.signal, concurrency: 3, onProgress })).rejects.toThrow("enough");
    expect(most).toBe(3);
    expect(seen[0]).toMatchObject({ size: 1, phase: "search", done: 0, total: 36 });
    const done = seen.map((progress) => progress.done);
    expect(done).toEqual([0, 3, 6, 9]);
  });

  it("passes on what a run throws", async () => {
    const run = async () => Promise.reject(new Error("engine gone"));
    await expect(mend({ candidates: [candidate(1, 1)], run, signal: going() })).rejects.toThrow("engine gone");
  });
});

it("tells right answers from wrong ones", () => {
  expect(saysRight("Yes .", "yes")).toBe(true);
  expect(saysRight("yes , there is a dog .", "yes")).toBe(true);
  expect(saysRight("no , there is not", "yes")).toBe(false);
  expect(saysRight("yesterday", "yes")).toBe(false);
  expect(saysRight("a dog at the top", "a dog")).toBe(true);
  expect(saysRight("a dog", "a dog at the top")).toBe(false);
  expect(saysRight("anything", "")).toBe(false);
});

it("follows the word in which right and wrong part", () => {
  expect(partingWord("yes .", "no")).toEqual({ word: "no", first: true });
  expect(partingWord("a sad face at the left , a crab", "a surprised face at the left")).toEqual({ word: "surprised", first: false });
  expect(partingWord("a cat", "a cat")).toBeNull();
});

it("acts where the contribution comes from, and counts changed answers", () => {
  expect([scopeOf(1, 0.05), scopeOf(0.05, -1), scopeOf(1, 1), scopeOf(0, 0)].map(({ type }) => type)).toEqual([
    "image",
    "prompt",
    "all",
    "all",
  ]);
  expect(changedShare([])).toBe(0);
  expect(
    changedShare([
      { before: "yes .", after: "Yes" },
      { before: "a dog", after: "a cat" },
    ]),
  ).toBe(0.5);
});
