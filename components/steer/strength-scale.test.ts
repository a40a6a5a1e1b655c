import { describe, expect, it } from "vitest";
import { shareToStrength, strengthAfterKey, strengthTicks, strengthToShare, typicalRange } from "./strength-scale";

describe("the strength axis", () => {
  it("is one-to-one from end to end and steady at its knots", () => {
    for (let value = -4; value <= 8; value += 0.1) {
      const rounded = Math.round(value * 10) / 10;
      expect(shareToStrength(strengthToShare(rounded))).toBeCloseTo(rounded, 9);
    }
    const shares = strengthTicks.map(strengthToShare);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect([shares[0], shares.at(-1)]).toEqual([0, 1]);
  });

  it("pins what lies beyond to its ends", () => {
    expect([strengthToShare(-1000), strengthToShare(1000)]).toEqual([0, 1]);
    expect([shareToStrength(-1), shareToStrength(2)]).toEqual([-4, 8]);
  });

  it("never says minus zero", () => {
    expect(Object.is(shareToStrength(strengthToShare(-0.01)), 0)).toBe(true);
    expect(Object.is(strengthAfterKey(-0.1, "ArrowRight", false), 0)).toBe(true);
  });

  it("moves by keys within its range", () => {
    expect(strengthAfterKey(0.9, "ArrowUp", false)).toBe(1);
    expect(strengthAfterKey(0.3, "ArrowLeft", true)).toBe(-0.7);
    expect(strengthAfterKey(7.8, "PageUp", false)).toBe(8);
    expect([strengthAfterKey(1, "Home", false), strengthAfterKey(1, "End", false)]).toEqual([-4, 8]);
    expect(strengthAfterKey(1, "a", false)).toBeNull();
  });
});

describe("a feature's typical range", () => {
  it("holds the middle four fifths", () => {
    const edges = Array.from({ length: 11 }, (_, i) => i * 2);
    expect(typicalRange({ edges, counts: Array(10).fill(5) })).toEqual([0.1, 0.9]);
    const [low, high] = typicalRange({ edges, counts: [100, 0, 0, 0, 0, 0, 0, 0, 0, 1] }) ?? [];
    expect(high).toBeLessThan(0.1);
    expect(low).toBeLessThan(high ?? 0);
  });

  it("is nothing without activations", () => {
    expect(typicalRange({ edges: [0, 1], counts: [0] })).toBeNull();
    expect(typicalRange({ edges: [], counts: [] })).toBeNull();
  });
});
