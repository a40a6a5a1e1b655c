import { describe, expect, it } from "vitest";
import { divergingBar, divergingScale } from "./diverging-bars-marks";

describe("bars to both sides of zero", () => {
  it("share one scale: equal values have equal bars, signs their own side", () => {
    const scale = divergingScale([4, 2, -2, 0]);
    const [four, two, minus, none] = [4, 2, -2, 0].map((value) => divergingBar(value, scale));
    expect(two?.length).toBeCloseTo((four?.length ?? 0) / 2);
    expect(minus?.length).toBeCloseTo(two?.length ?? 0);
    expect([four?.sign, minus?.sign]).toEqual(["positive", "negative"]);
    expect(four?.from).toBeCloseTo(scale.zero);
    expect((minus?.from ?? 0) + (minus?.length ?? 0)).toBeCloseTo(scale.zero);
    expect(none?.length).toBe(0);
  });

  it("fill the width and leave zero a place where one side is empty or tiny", () => {
    for (const values of [
      [3, 1],
      [-3, -1],
      [3, -0.001],
    ]) {
      const scale = divergingScale(values);
      expect(scale.zero).toBeGreaterThan(0.1);
      expect(scale.zero).toBeLessThan(0.9);
      const ends = values.map(scale.x);
      expect(Math.max(...ends.map((end) => Math.abs(end - scale.zero)))).toBeGreaterThan(0.85);
    }
  });

  it("hold still where there is nothing to show", () => {
    expect(divergingBar(0, divergingScale([]))).toEqual({ from: 0.5, length: 0, sign: "positive" });
    expect(divergingScale([Number.NaN, 1]).x(1)).toBe(1);
  });
});
