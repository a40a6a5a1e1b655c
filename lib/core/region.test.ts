import { describe, expect, it } from "vitest";
import {
  cellBox,
  cellsBox,
  coverage,
  decodeRegion,
  emptyRegion,
  encodeRegion,
  filling,
  isEmpty,
  longestCode,
  outline,
  paintShape,
  sameRegion,
} from "./region";
import { contrastOf, rankByContrast, regionMeans } from "./region-contrast";

const blank = emptyRegion(3, 4);
const box = (x0: number, y0: number, x1: number, y1: number) => ({ kind: "box", from: { x: x0, y: y0 }, to: { x: x1, y: y1 } }) as const;

describe("a region", () => {
  it("covers cells whole and in part, whichever way a box is drawn, and never beyond the picture", () => {
    const drawn = paintShape(blank, box(2.5, 2, 1, 1));
    expect([...coverage(drawn)]).toEqual([0, 0, 0, 0, 0, 1, 0.5, 0, 0, 0, 0, 0]);
    expect(sameRegion(drawn, paintShape(blank, box(1, 1, 2.5, 2)))).toBe(true);
    expect([...coverage(paintShape(blank, box(-5, -5, 50, 50)))]).toEqual(Array(12).fill(1));
    expect(isEmpty(blank)).toBe(true);
  });

  it("is added to and taken from without changing what was there before", () => {
    const all = paintShape(blank, cellsBox(11, 0, 4));
    const less = paintShape(all, cellBox(5, 4), true);
    expect([...coverage(less)]).toEqual([1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]);
    expect([...coverage(all)]).toEqual(Array(12).fill(1));
    expect(isEmpty(paintShape(less, box(0, 0, 4, 3), true))).toBe(true);
  });

  it("takes a brush's width along the whole path and leaves a circle at a touch", () => {
    const stroke = coverage(
      paintShape(blank, {
        kind: "brush",
        path: [
          { x: 0.5, y: 1.5 },
          { x: 3.5, y: 1.5 },
        ],
        radius: 0.5,
      }),
    );
    // The ends are round, the middle is a full cell high.
    expect([stroke[5], stroke[6], stroke[1], stroke[9]]).toEqual([1, 1, 0, 0]);
    expect(stroke[4]).toBeGreaterThan(0.8);
    expect(stroke[4]).toBeLessThan(1);
    const dot = coverage(paintShape(blank, { kind: "brush", path: [{ x: 2, y: 1.5 }], radius: 1 }));
    const area = dot.reduce((sum, share) => sum + share, 0);
    expect(Math.abs(area - Math.PI)).toBeLessThan(0.25);
    expect(paintShape(blank, { kind: "brush", path: [], radius: 1 })).toBe(blank);
  });

  it("fills a lasso by the even-odd rule, closed by itself", () => {
    const triangle = paintShape(emptyRegion(4, 4), {
      kind: "lasso",
      path: [
        { x: 0, y: 0 },
        { x: 4, y: 0 },
        { x: 0, y: 4 },
      ],
    });
    const cover = coverage(triangle);
    expect([cover[0], cover[15], cover[3]]).toEqual([1, 0, 0.375]);
    expect(Math.abs(cover.reduce((sum, share) => sum + share, 0) - 8)).toBeLessThan(0.8);
  });

  it("comes back from its code, and a code that is none is refused", () => {
    const drawn = paintShape(paintShape(blank, box(0, 0, 1.25, 0.5)), { kind: "brush", path: [{ x: 3.9, y: 2.9 }], radius: 0.7 });
    const code = encodeRegion(drawn);
    expect(code).toMatch(/^3x4\.0\.5\./);
    const back = decodeRegion(code);
    expect(back && sameRegion(back, drawn)).toBe(true);
    expect(encodeRegion(blank)).toBe("");
    for (const wrong of ["", "3x4", "3x4.", "0x4.0.5", "3x4.0.zzzz", "65x4.0.5", "3x4.5", "3x4.0.5;", `3x4.${"1.".repeat(longestCode)}1`]) {
      expect(decodeRegion(wrong), wrong.slice(0, 20)).toBeNull();
    }
  });

  it("is laid on another grid over the same picture by area", () => {
    const half = paintShape(emptyRegion(2, 2), box(0, 0, 1, 2));
    expect([...coverage(half, 2, 4)]).toEqual([1, 1, 0, 0, 1, 1, 0, 0]);
    expect([...coverage(half, 1, 1)]).toEqual([0.5]);
    expect([...coverage(half, 1, 3)]).toEqual([1, 0.5, 0]);
  });

  it("draws one outline around what belongs together", () => {
    const cell = paintShape(emptyRegion(2, 2), cellBox(3, 2));
    expect(outline(cell)).toBe("M1 1H2M1 2H2M1 1V2M2 1V2");
    expect(filling(cell)).toBe("M1 1H2V1.25H1ZM1 1.25H2V1.5H1ZM1 1.5H2V1.75H1ZM1 1.75H2V2H1Z");
  });
});

describe("contrast", () => {
  const cover = Float32Array.of(1, 0.5, 0, 0);

  it("weighs each cell by its covered share, on both sides", () => {
    const found = contrastOf(Float32Array.of(6, 3, 0, 5), cover);
    expect([found.inside, found.outside]).toEqual([7.5 / 1.5, 6.5 / 2.5]);
    expect(found.contrast).toBeCloseTo(5 - 2.6, 12);
    const sparse = regionMeans({ positions: Uint16Array.of(0, 1, 3, 9), values: Float32Array.of(6, 3, 5, 100) }, cover);
    expect(sparse).toEqual({ inside: 5, outside: 2.6 });
  });

  it("has a mean of 0 where there is nothing inside or nothing outside", () => {
    const dense = Float32Array.of(2, 2, 2, 2);
    expect(contrastOf(dense, new Float32Array(4))).toEqual({ inside: 0, outside: 2, contrast: -2 });
    expect(contrastOf(dense, new Float32Array(4).fill(1))).toEqual({ inside: 2, outside: 0, contrast: 2 });
  });

  it("ranks what is inside and not outside, and leaves out what is as much or more outside", () => {
    const feature = (index: number, ...dense: number[]) => ({ index, dense: Float32Array.from(dense) });
    const ranked = rankByContrast(
      [feature(9, 1, 1, 1, 1), feature(4, 4, 0, 0, 0), feature(3, 0, 0, 9, 9), feature(2, 4, 0, 0, 0), feature(1, 9, 9, 2, 2)],
      cover,
    );
    expect(ranked.map((row) => row.feature.index)).toEqual([1, 2, 4]);
  });
});
