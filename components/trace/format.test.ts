import { expect, it } from "vitest";
import { decimalsFor, formatContribution } from "./format";

it("writes signs, and zero without one", () => {
  expect([0.4213, -1.5, 0, -0.001].map((value) => formatContribution(value))).toEqual(["+0.42", "−1.50", "0.00", "0.00"]);
});

it("gives the greatest of a list three digits", () => {
  expect([12.3, 1.23, 0.0123, 0, 123].map(decimalsFor)).toEqual([1, 2, 4, 2, 1]);
});
