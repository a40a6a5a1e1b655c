import { describe, expect, it } from "vitest";
import { brokenZones, dosePath, doseScales, nearestPoint } from "./dose-curve-marks";

const strengths = [0, 1, 2, 4, 8];
const { x, y } = doseScales(strengths, 100, 50);

describe("scales", () => {
  it("reach from end to end, in order, and give small strengths room", () => {
    const places = strengths.map(x);
    expect([places[0], places.at(-1)]).toEqual([0, 100]);
    for (let i = 1; i < places.length; i++) expect((places[i] ?? 0) - (places[i - 1] ?? 0)).toBeGreaterThan(15);
    expect([y(0), y(1), y(2)]).toEqual([50, 0, 0]);
  });

  it("are the same for raw strengths of any size, mirrored for negative ones, and stand one strength alone", () => {
    const raw = doseScales(
      strengths.map((s) => s * 37),
      100,
      50,
    );
    expect(raw.x(74)).toBeCloseTo(x(2));
    const negative = doseScales([-8, -4, -2, -1, 0], 100, 50);
    expect(negative.x(-2)).toBeCloseTo(100 - x(2));
    expect(doseScales([3], 100, 50).x(3)).toBeCloseTo(50, -1);
  });
});

it("draws a line that breaks where nothing was measured", () => {
  const path = dosePath(
    [0.5, null, 1, 1].map((share, i) => ({ value: strengths[i] ?? 0, share })),
    { x, y },
  );
  expect(path.match(/M/g)).toHaveLength(2);
  expect(path).toContain("L");
});

it("shades half-way to what is well, to the edge where nothing is beyond", () => {
  const zones = (broken: boolean[]) =>
    brokenZones(
      broken.map((b, i) => ({ value: strengths[i] ?? 0, broken: b })),
      x,
      100,
    );
  expect(zones([false, false, false, false, false])).toEqual([]);
  expect(zones([false, false, false, true, true])).toEqual([{ x: (x(2) + x(4)) / 2, width: 100 - (x(2) + x(4)) / 2 }]);
  expect(zones([true, false, true, false, false])).toHaveLength(2);
});

it("finds the point nearest to the pointer", () => {
  const points = strengths.map((value) => ({ value }));
  expect([nearestPoint(points, x, -5), nearestPoint(points, x, x(4) + 1), nearestPoint(points, x, 500)]).toEqual([0, 3, 4]);
});
