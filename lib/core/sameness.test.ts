import { expect, it } from "vitest";
import { isPositional, sameness } from "./sameness";
import type { SparseMap } from "./sparse-map";

const map = (at: Record<number, number>): SparseMap => ({
  positions: Uint16Array.from(Object.keys(at), Number),
  values: Float32Array.from(Object.values(at)),
});

it("is 1 for the same cells at any strength, 0 for cells apart, and unknown for two pictures", () => {
  expect(sameness([map({ 3: 1, 4: 2 }), map({ 3: 2, 4: 4 }), map({ 3: 0.5, 4: 1 })])).toBeCloseTo(1);
  expect(sameness([map({ 0: 1 }), map({ 1: 1 }), map({ 2: 1 })])).toBe(0);
  expect(sameness([map({ 0: 1 }), map({ 0: 1 }), map({})])).toBeCloseTo(1 / 3);
  expect(sameness([map({ 0: 1 }), map({ 0: 1 })])).toBeNull();
});

it("calls positional what is on the same few cells, not what covers the picture nor what moves about", () => {
  const corner = [1, 2, 3].map((strength) => map({ 0: strength, 1: 2 * strength }));
  expect(isPositional(corner, 16)).toBe(true);
  const ground = [1, 2, 3].map((strength) => map(Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i, strength]))));
  expect(isPositional(ground, 16)).toBe(false);
  expect(isPositional([map({ 0: 1 }), map({ 5: 1 }), map({ 9: 1 })], 16)).toBe(false);
});
