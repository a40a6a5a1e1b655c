import { expect, it } from "vitest";
import { histogramBars } from "./histogram-marks";

it("draws bars", () => {
  expect(histogramBars([0, 1, 100, 25], 40, 20)).toMatchInlineSnapshot(`
    [
      {
        "count": 0,
        "height": 0,
        "width": 9,
        "x": 0,
        "y": 20,
      },
      {
        "count": 1,
        "height": 2,
        "width": 9,
        "x": 10,
        "y": 18,
      },
      {
        "count": 100,
        "height": 20,
        "width": 9,
        "x": 20,
        "y": 0,
      },
      {
        "count": 25,
        "height": 10,
        "width": 9,
        "x": 30,
        "y": 10,
      },
    ]
  `);
});

it("takes nothing at all", () => {
  expect(histogramBars([], 40, 20)).toEqual([]);
  expect(histogramBars([0, 0], 40, 20).every((bar) => bar.height === 0)).toBe(true);
});
