import { expect, it } from "vitest";
import type { Firing } from "@/components/image/firing";
import { encodeMap } from "@/lib/core/sparse-map";
import { rankFirings } from "./ranking";

const firing = (index: number, cells: number[], density: number | null, alwaysOn = false): Firing => ({
  index,
  label: null,
  concept: null,
  density,
  alwaysOn,
  sink: false,
  maxActivation: 9,
  mean: cells.reduce((sum, value) => sum + value, 0) / cells.length,
  peak: Math.max(...cells),
  map: encodeMap({ positions: new Uint16Array(0), values: new Float32Array(0) }),
  dense: Float32Array.from(cells),
});
const order = (groups: ReturnType<typeof rankFirings>) => groups.map(({ key, items }) => [key, items.map(({ feature }) => feature.index)]);

it("ranks by mean, by the strongest cell and by rarity, each in its own order, with what is always on behind", () => {
  const firings = [
    firing(1, [2, 2, 2, 2], 0.5),
    firing(2, [6, 0, 0, 0], 0.2),
    firing(3, [1, 1, 1, 1], 0.001),
    firing(9, [8, 8, 8, 8], 1, true),
  ];
  expect(order(rankFirings(firings, "mean", null))).toEqual([
    ["low", [1, 2, 3]],
    ["always_on", [9]],
  ]);
  expect(order(rankFirings(firings, "max", null))).toEqual([
    ["low", [2, 1, 3]],
    ["always_on", [9]],
  ]);
  // 2 · ln 2 = 1.39, 1.5 · ln 5 = 2.41, 1 · ln 1000 = 6.91.
  expect(order(rankFirings(firings, "rarity", null))).toEqual([
    ["low", [3, 2, 1]],
    ["always_on", [9]],
  ]);
  expect(rankFirings(firings, "rarity", null)[0]?.items[0]?.value).toBeCloseTo(6.91, 2);
  // What is weak over the whole picture may be the first by another order: all are ranked, then cut.
  expect(order(rankFirings(firings, "rarity", null, 1))).toEqual([
    ["low", [3]],
    ["always_on", [9]],
  ]);
  expect(order(rankFirings(firings, "rarity", 1))).toEqual([
    ["low", [1, 3]],
    ["always_on", [9]],
  ]);
});
