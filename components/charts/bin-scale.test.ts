import { describe, expect, it } from "vitest";
import { binsToRange, positionOf, rangeToBins, valueAt } from "./bin-scale";

const even = [0, 0.25, 0.5, 0.75, 1];
const log = [0.00001, 0.0001, 0.001, 0.01, 0.1, 1];

describe("positions", () => {
  it.each([even, log])("come back as values (%#)", (...edges) => {
    for (let p = 0; p <= edges.length - 1; p += 0.25) expect(positionOf(edges, valueAt(edges, p))).toBeCloseTo(p, 6);
  });
  it("are clamped", () => {
    expect(positionOf(even, -1)).toBe(0);
    expect(positionOf(even, 9)).toBe(4);
    expect(valueAt(even, 7)).toBe(1);
  });
  it("give every bin the same width", () => {
    expect(log.map((value) => positionOf(log, value))).toEqual([0, 1, 2, 3, 4, 5]);
  });
});

describe("ranges", () => {
  it("survive the way there and back", () => {
    for (let low = 0; low < 5; low++)
      for (let high = low + 1; high <= 5; high++) expect(rangeToBins(log, binsToRange(log, [low, high]))).toEqual([low, high]);
  });
  it("survive it too where the edges have more digits than an address", () => {
    const edges = [0, ...Array.from({ length: 30 }, (_, i) => 1.0e-6 * 1.5793 ** i)];
    const last = edges.length - 1;
    for (let low = 0; low < last; low++)
      for (let high = low + 1; high <= last; high++) expect(rangeToBins(edges, binsToRange(edges, [low, high]))).toEqual([low, high]);
  });
  it("leave reached ends open", () => {
    expect(binsToRange(even, [0, 4])).toBeUndefined();
    expect(binsToRange(even, [1, 4])).toEqual({ min: 0.25 });
    expect(binsToRange(even, [0, 2])).toEqual({ max: 0.5 });
  });
  it("round outward and stay short", () => {
    const edges = [0, 0.00123456, 12.34567, 100];
    expect(binsToRange(edges, [1, 2])).toEqual({ min: 0.001234, max: 12.35 });
    expect(rangeToBins(edges, { min: 0.001234, max: 12.35 })).toEqual([1, 2]);
  });
  it("take values of any address", () => {
    expect(rangeToBins(even, { min: 0.3, max: 0.6 })).toEqual([1, 3]);
    expect(rangeToBins(even, { min: 5 })).toEqual([4, 4]);
    expect(rangeToBins(even, undefined)).toEqual([0, 4]);
  });
});
