import { expect, it } from "vitest";
import { barShares } from "./token-bars-marks";

it("scales to the largest magnitude", () => {
  expect(barShares([4, -2, 1])).toEqual([1, 0.5, 0.25]);
  expect(barShares([0, 0])).toEqual([0, 0]);
  expect(barShares([])).toEqual([]);
});
