import { describe, expect, it } from "vitest";
import {
  groupByConcept,
  mainSources,
  overPicture,
  rank,
  sumByPosition,
  sumsAmong,
  type TracePosition,
  type TraceRow,
} from "./contributions";

const cell = (i: number): TracePosition => ({ kind: "image", text: "", cell: { image: 0, cell: i } });
const word = (text: string): TracePosition => ({ kind: "text", text, cell: null });
const positions = [cell(0), cell(1), cell(2), cell(3), word("is"), word("dog")];

const row = (feature: number, at: [number, number][], over: Partial<TraceRow> = {}): TraceRow => {
  const sum = (picture: boolean) => at.filter(([position]) => position < 4 === picture).reduce((total, [, value]) => total + value, 0);
  return {
    feature,
    label: null,
    concept: null,
    kinds: [],
    image: sum(true),
    text: sum(false),
    measured: null,
    at: { positions: at.map(([position]) => position), values: at.map(([, value]) => value) },
    ...over,
  };
};
const rows = [
  row(
    1,
    [
      [0, 1],
      [5, 0.5],
    ],
    { concept: "object" },
  ),
  row(
    2,
    [
      [1, -3],
      [4, 1],
    ],
    { concept: "position", kinds: ["positional"] },
  ),
  row(3, [[5, -2]], { concept: "object" }),
  row(4, [[2, 0.25]]),
];

describe("ranking", () => {
  it("is by size whatever the sign, and by what lies where one looks", () => {
    expect(rank(rows, "all", []).rows.map(({ feature, value }) => [feature, value])).toEqual([
      [2, -2],
      [3, -2],
      [1, 1.5],
      [4, 0.25],
    ]);
    expect(rank(rows, "image", []).rows.map(({ feature }) => feature)).toEqual([2, 1, 4]);
    expect(rank(rows, "text", []).rows.map(({ feature }) => feature)).toEqual([3, 2, 1]);
  });

  it("leaves out what is of an unwanted kind, and says how much that was", () => {
    const { rows: left, leftOut } = rank(rows, "all", ["positional", "sink"]);
    expect(left.map(({ feature }) => feature)).toEqual([3, 1, 4]);
    expect(leftOut).toEqual({ count: 1, sum: -2 });
    const shown = left.reduce((sum, { value }) => sum + value, 0);
    expect(shown + leftOut.sum).toBeCloseTo(rows.reduce((sum, { image, text }) => sum + image + text, 0));
  });

  it("groups by concept without losing a part", () => {
    const groups = groupByConcept(rank(rows, "all", []).rows);
    expect(groups.map(({ concept, value }) => [concept, value])).toEqual([
      ["position", -2],
      ["object", -0.5],
      [null, 0.25],
    ]);
  });
});

it("sums over the picture and over words", () => {
  const sums = sumByPosition(rows, positions.length);
  expect([...sums]).toEqual([1, -3, 0.25, 0, 1, -1.5]);
  expect([...sumsAmong(sums, positions, "image")]).toEqual([1, -3, 0.25, 0, 0, 0]);
  expect([...sumsAmong(sums, positions, "text")]).toEqual([0, 0, 0, 0, 1, -1.5]);
  expect([...overPicture(sums, positions, 0, 4)]).toEqual([1, -3, 0.25, 0]);
  expect([...overPicture(sums, positions, 1, 4)]).toEqual([0, 0, 0, 0]);
});

it("takes the words and cells that carry most as the graph's sources", () => {
  expect(mainSources(rows, positions, 1, 2)).toEqual(["p5", "c1", "c0"]);
  expect(mainSources([], positions, 3, 3)).toEqual([]);
});
