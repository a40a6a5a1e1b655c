import { expect, it } from "vitest";
import { isOneSlip } from "./one-slip";

it.each([
  ["lemno", "lemon"],
  ["hosre", "horse"],
  ["ohrse", "horse"],
  ["hors", "horse"],
  ["horsee", "horse"],
  ["hhorse", "horse"],
  ["house", "horse"],
  ["кошак", "кошка"],
])("%s is a slip of %s", (a, b) => {
  expect(isOneSlip(a, b)).toBe(true);
  expect(isOneSlip(b, a)).toBe(true);
});

it.each([
  ["horse", "horse"],
  ["hrose", "hoers"],
  ["horse", "hoses"],
  ["abcd", "badc"],
  ["horse", "horseman"],
  ["", "ab"],
])("%s is no slip of %s", (a, b) => expect(isOneSlip(a, b)).toBe(false));
