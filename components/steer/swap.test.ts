import { describe, expect, it } from "vitest";
import type { AnalysedFeature, Analysis } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import { planSwap, swapLimit } from "./swap";

const feature = (index: number, cells: Record<number, number>, over: Partial<AnalysedFeature> = {}): AnalysedFeature => ({
  index,
  label: null,
  concept: null,
  density: 0.1,
  alwaysOn: false,
  sink: false,
  maxActivation: 10,
  mean: 0,
  peak: 0,
  map: encodeMap({ positions: Uint16Array.from(Object.keys(cells), Number), values: Float32Array.from(Object.values(cells)) }),
  ...over,
});
const analysis = (...features: AnalysedFeature[]): Analysis => ({
  dictionary: "a/b",
  source: "engine",
  rows: 12,
  cols: 12,
  total: features.length,
  features,
});
const cells = (...own: number[]) => ({ type: "region" as const, image: 0, cells: own });

describe("what a swap takes away", () => {
  const one = analysis(
    feature(1, { 3: 5, 40: 9 }),
    feature(2, { 3: 2 }),
    feature(3, { 40: 8 }),
    feature(4, { 3: 9 }, { alwaysOn: true }),
    feature(5, { 3: 9 }, { sink: true }),
    feature(6, { 3: 1 }, { maxActivation: 1 }),
    feature(7, { 3: 9 }),
  );

  it("is what is active on the painted cells, by its share of its own maximum there", () => {
    expect(planSwap([one], cells(3, 4), [7])).toEqual({ ablate: [6, 1, 2], active: 3 });
    expect(planSwap([one], cells(40), [])).toEqual({ ablate: [1, 3], active: 2 });
    expect(planSwap([one], cells(100), [])).toEqual({ ablate: [], active: 0 });
  });

  it("is what is active anywhere where the scope is the picture or everything", () => {
    expect(planSwap([one], { type: "image" }, []).ablate).toEqual([6, 1, 7, 3, 2]);
    expect(planSwap([one, null, analysis(feature(9, { 0: 10 }))], { type: "all" }, [6, 7]).ablate).toEqual([9, 1, 3, 2]);
  });

  it("looks at the picture whose cells are painted, and at no other", () => {
    expect(planSwap([one, analysis(feature(9, { 3: 1 }))], { ...cells(3), image: 1 }, []).ablate).toEqual([9]);
  });

  it("is the strongest few where many are active", () => {
    const many = analysis(...Array.from({ length: 40 }, (_, i) => feature(i, { 3: (i % 40) + 1 }, { maxActivation: 41 })));
    const plan = planSwap([many], cells(3), []);
    expect(plan.active).toBe(40);
    expect(plan.ablate).toEqual(Array.from({ length: swapLimit }, (_, i) => 39 - i));
  });
});
