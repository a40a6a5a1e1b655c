import { expect, it } from "vitest";
import { firstPositions, gatherRows } from "./kept-rows.mjs";

const tensor = (dims: number[], from = 0) => ({
  dims,
  data: Float32Array.from({ length: dims.reduce((product, dim) => product * dim, 1) }, (_, i) => from + i),
});

it("gathers rows of several tensors in the order asked", () => {
  const [a, b] = [tensor([2, 1, 3]), tensor([1, 1, 3], 100)];
  const { dims, data } = gatherRows([
    { tensor: b, row: 0 },
    { tensor: a, row: 1 },
    { tensor: a, row: 0 },
  ]);
  expect(dims).toEqual([3, 1, 3]);
  expect([...data]).toEqual([100, 101, 102, 3, 4, 5, 0, 1, 2]);
});

it("keeps the first positions of every head of every batch", () => {
  const { dims, data } = firstPositions(tensor([2, 2, 3, 2]), 2);
  expect(dims).toEqual([2, 2, 2, 2]);
  expect([...data]).toEqual([0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21]);
});
