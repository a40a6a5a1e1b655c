import { expect, it } from "vitest";
import { readNumber } from "./read-number";

const strength = { min: -1_000, max: 1_000, whole: false };

it("reads numbers as people type them", () => {
  const read = (text: string) => readNumber(text, strength).value;
  expect([read("4"), read(" −2,5 "), read("1e2"), read("0")]).toEqual([4, -2.5, 100, 0]);
});

it("says which numbers can be taken where it takes none", () => {
  const refusal = (text: string, bounds = strength) => readNumber(text, bounds).refusal;
  expect(refusal("NaN")).toBe("“NaN” is not a number.");
  expect(refusal("Infinity")).toBe("“Infinity” is not a number.");
  expect(refusal("much")).toBe("“much” is not a number.");
  expect(refusal("1e9")).toBe("1e9 is outside −1,000 to 1,000.");
  expect(refusal("2.5", { min: 1, max: 256, whole: true })).toBe("“2.5” is not a whole number.");
  expect(refusal("0", { min: 1, max: 256, whole: true })).toBe("0 is outside 1 to 256.");
  expect(refusal("9".repeat(40))).toBe("999999999999… is outside −1,000 to 1,000.");
});
