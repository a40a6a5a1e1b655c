import { expect, it } from "vitest";
import { cellAfterKey, middleCells, withCell } from "./region";

const grid = { rows: 12, cols: 12 };

it("starts with the middle third, and with something on any grid", () => {
  expect(middleCells(grid)).toHaveLength(16);
  expect(middleCells(grid)[0]).toBe(4 * 12 + 4);
  for (const rows of [1, 2, 3, 5]) expect(middleCells({ rows, cols: 2 }).length).toBeGreaterThan(0);
});

it("paints and erases in order, and keeps the last cell", () => {
  expect(withCell([3, 9], 5, true)).toEqual([3, 5, 9]);
  expect(withCell([3, 9], 3, true)).toEqual([3, 9]);
  expect(withCell([3, 9], 3, false)).toEqual([9]);
  expect(withCell([9], 9, false)).toEqual([9]);
});

it("moves inside the grid", () => {
  expect(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "x"].map((key) => cellAfterKey(0, key, grid))).toEqual([0, 12, 0, 1, null]);
  expect(["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight"].map((key) => cellAfterKey(143, key, grid))).toEqual([131, 143, 142, 143]);
});
