import { describe, expect, it } from "vitest";
import type { AnalysedFeature, Analysis } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import { decodeAnalysis, firingScale, groupFirings, strongest } from "./firing";

function feature(index: number, cells: Record<number, number>, more: Partial<AnalysedFeature> = {}): AnalysedFeature {
  const values = Object.values(cells);
  const mean = values.reduce((sum, value) => sum + value, 0) / 4;
  const map = encodeMap({ positions: Uint16Array.from(Object.keys(cells).map(Number)), values: Float32Array.from(values) });
  return {
    index,
    label: null,
    concept: null,
    density: 0.1,
    alwaysOn: false,
    sink: false,
    maxActivation: 4,
    mean,
    peak: Math.max(...values),
    map,
    ...more,
  };
}

const analysis: Analysis = {
  dictionary: "m/d",
  source: "engine",
  rows: 2,
  cols: 2,
  total: 5,
  features: [
    feature(9, { 0: 8, 1: 8, 2: 8, 3: 8 }, { alwaysOn: true, concept: "object" }),
    feature(1, { 0: 1 }, { concept: "colour" }),
    feature(2, { 0: 2, 3: 2 }, { concept: "object" }),
    feature(3, { 0: 3 }, { concept: "object" }),
    feature(4, { 1: 1 }),
  ],
};

describe("groupFirings", () => {
  const firings = decodeAnalysis(analysis);
  it("orders concepts, low-level, always-on, each by mean", () => {
    const groups = groupFirings(firings);
    expect(groups.map((group) => [group.key, group.items.map((item) => item.feature.index)])).toEqual([
      ["object", [2, 3]],
      ["colour", [1]],
      ["low", [4]],
      ["always_on", [9]],
    ]);
    expect(strongest(groups)).toBe(8);
  });
  it("keeps what is active in one cell, by its value there", () => {
    const groups = groupFirings(firings, 0);
    expect(groups.map((group) => group.items.map((item) => [item.feature.index, item.value]))).toEqual([
      [
        [3, 3],
        [2, 2],
      ],
      [[1, 1]],
      [[9, 8]],
    ]);
    expect(groupFirings(firings, 99)).toEqual([]);
    expect(strongest([])).toBe(1);
  });
});

describe("firingScale", () => {
  it("is the feature's own maximum, stretched by a larger peak", () => {
    expect(firingScale({ maxActivation: 4, peak: 2 })).toBe(4);
    expect(firingScale({ maxActivation: 4, peak: 5 })).toBe(5);
    expect(firingScale({ maxActivation: null, peak: 0 })).toBe(1);
  });
});
