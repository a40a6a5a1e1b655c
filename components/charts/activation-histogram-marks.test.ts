import { describe, expect, it } from "vitest";
import { histogramBars, histogramX, shareBelow } from "./activation-histogram-marks";

const histogram = { edges: [0, 1, 2, 4], counts: [99, 0, 9] };

describe("histogramBars", () => {
  it("fills the box and keeps the bins' widths", () => {
    const bars = histogramBars(histogram, 400, 100);
    expect(bars.map((bar) => [bar.x, bar.width])).toEqual([
      [0, 99],
      [100, 99],
      [200, 199],
    ]);
    expect(bars[0]).toMatchObject({ y: 0, height: 100, count: 99, from: 0, to: 1 });
    expect(bars[1]?.height).toBe(0);
    expect(bars[2]?.height).toBeCloseTo(50);
  });
  it("draws the same text in every engine, whatever the last digits of its logarithm", () => {
    const draw = () => JSON.stringify(histogramBars({ edges: [0, 1, 2, 3, 4], counts: [556, 31, 7, 2] }, 320, 72));
    const here = draw();
    const log1p = Math.log1p;
    for (const error of [1 - 2e-16, 1 + 2e-16]) {
      Math.log1p = (x) => log1p(x) * (x === 31 ? error : 1);
      expect(draw()).toBe(here);
    }
    Math.log1p = log1p;
  });
  it("shows a lone count beside a huge one, and survives emptiness", () => {
    expect(histogramBars({ edges: [0, 1, 2], counts: [1_000_000_000, 1] }, 10, 20)[1]?.height).toBeGreaterThanOrEqual(2);
    expect(histogramBars({ edges: [0, 0], counts: [0] }, 10, 20)).toEqual([{ x: 0, y: 20, width: 1, height: 0, count: 0, from: 0, to: 0 }]);
  });
});

describe("histogramX and shareBelow", () => {
  it("places a value and clamps it", () => {
    expect(histogramX(histogram, 1, 400)).toBe(100);
    expect(histogramX(histogram, 9, 400)).toBe(400);
  });
  it("interpolates within a bin", () => {
    expect(shareBelow(histogram, 0.5)).toBeCloseTo(49.5 / 108);
    expect(shareBelow(histogram, 3)).toBeCloseTo(103.5 / 108);
    expect(shareBelow(histogram, 5)).toBe(1);
    expect(shareBelow({ edges: [0, 1], counts: [0] }, 1)).toBeNull();
  });
});
