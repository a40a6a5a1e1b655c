import { describe, expect, it } from "vitest";
import {
  cellAt,
  divergingEntry,
  divergingRamp,
  heatEntry,
  heatRamp,
  interpolate,
  paint,
  type Ramp,
  rampColour,
  rampGradient,
  type Theme,
} from "./heat";

const themes: Theme[] = ["dark", "light"];
const hex = (ramp: Ramp, entry: number) => Buffer.from(ramp.subarray(4 * entry, 4 * entry + 4)).toString("hex");

/** CIE lightness 0..100 of an entry's colour, alpha left out. */
function lightness(ramp: Ramp, entry: number): number {
  const [r, g, b] = [0, 1, 2].map((i) => {
    const x = (ramp[4 * entry + i] as number) / 255;
    return x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  const y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

describe("ramps", () => {
  it("keep their colours", () => {
    const sample = (ramp: Ramp) => [0, 32, 64, 96, 128, 160, 192, 224, 255].map((entry) => hex(ramp, entry));
    expect(
      Object.fromEntries(themes.map((theme) => [theme, { heat: sample(heatRamp(theme)), diverging: sample(divergingRamp(theme)) }])),
    ).toMatchSnapshot();
  });

  it.each(themes)("%s: transparent at zero, alpha and lightness monotone, steps of lightness even", (theme) => {
    const ramp = heatRamp(theme);
    expect(ramp[3]).toBe(0);
    const steps: number[] = [];
    for (let i = 1; i < 256; i++) expect(ramp[4 * i + 3]).toBeGreaterThanOrEqual(ramp[4 * i - 1] as number);
    for (let i = 16; i < 256; i += 16) steps.push(lightness(ramp, i) - lightness(ramp, i - 16));
    const sign = theme === "dark" ? 1 : -1;
    for (const step of steps) expect(step * sign).toBeGreaterThan(0);
    const mean = steps.reduce((a, b) => a + b, 0) / steps.length;
    for (const step of steps) expect(Math.abs(step / mean - 1)).toBeLessThan(0.45);
  });

  it.each(themes)("%s diverging: transparent in the middle, mirrored in lightness", (theme) => {
    const ramp = divergingRamp(theme);
    expect(ramp[4 * 127 + 3]).toBeLessThan(12);
    expect(ramp[4 * 128 + 3]).toBeLessThan(12);
    for (const i of [0, 40, 80]) expect(Math.abs(lightness(ramp, i) - lightness(ramp, 255 - i))).toBeLessThan(8);
  });

  it("give CSS", () => {
    expect(rampColour(heatRamp("dark"), 0)).toMatch(/^rgb\(\d+ \d+ \d+ \/ 0\.000\)$/);
    expect(rampGradient(heatRamp("light"), { steps: 2 })).toMatch(/^linear-gradient\(to right, rgb/);
  });
});

describe("entries", () => {
  it("span 0..max and saturate", () => {
    expect([-1, 0, 0.5, 1, 2, Number.NaN].map((v) => heatEntry(v, 1))).toEqual([0, 0, 128, 255, 255, 0]);
    expect(heatEntry(3, 0)).toBe(0);
  });
  it("centre on zero where signed", () => {
    expect([-2, -1, 0, 1, 2].map((v) => divergingEntry(v, 1))).toEqual([0, 0, 128, 255, 255]);
  });
});

describe("interpolation", () => {
  it("is the identity at the same size", () => {
    const values = Float32Array.from([0, 1, 2, 3, 4, 5]);
    expect(interpolate(values, 2, 3, 2, 3)).toEqual(values);
  });
  it("goes straight between the centres of cells and holds at the edges", () => {
    expect([...interpolate(Float32Array.from([0, 4]), 1, 2, 1, 8)]).toEqual([0, 0, 0.5, 1.5, 2.5, 3.5, 4, 4]);
    expect([...interpolate(Float32Array.from([0, 4]), 2, 1, 4, 1)]).toEqual([0, 1, 3, 4]);
  });
  it("never leaves the range of the values", () => {
    const values = Float32Array.from({ length: 144 }, (_, i) => (i * 7919) % 13);
    for (const v of interpolate(values, 12, 12, 50, 31)) expect(v >= 0 && v <= 12).toBe(true);
  });
  it("takes a single cell", () => {
    expect([...interpolate(Float32Array.from([2]), 1, 1, 2, 2)]).toEqual([2, 2, 2, 2]);
  });
});

it("interpolates values, not colours", () => {
  // Two thirds of the way to the maximum is two thirds up the table, not a mixture of its ends.
  const pixels = new Uint8ClampedArray(3 * 4);
  const ramp = heatRamp("dark");
  paint(interpolate(Float32Array.from([0, 1]), 1, 2, 1, 6).slice(1, 4), 1, ramp, pixels);
  expect(hex(pixels as Ramp, 2)).toBe(hex(ramp, heatEntry(2 / 3, 1)));
});

it("paints a signed map", () => {
  const pixels = new Uint8ClampedArray(3 * 4);
  const ramp = divergingRamp("light");
  paint(Float32Array.from([-1, 0, 1]), 1, ramp, pixels, "diverging");
  expect([0, 1, 2].map((i) => hex(pixels as Ramp, i))).toEqual([hex(ramp, 0), hex(ramp, 128), hex(ramp, 255)]);
});

it("finds the cell under a point", () => {
  expect(cellAt(0, 0, 12, 12)).toBe(0);
  expect(cellAt(1, 1, 12, 12)).toBe(143);
  expect(cellAt(0.5, 0.25, 4, 6)).toBe(9);
  expect(cellAt(-0.01, 0.5, 12, 12)).toBeNull();
  expect(cellAt(Number.NaN, 0.5, 12, 12)).toBeNull();
});
