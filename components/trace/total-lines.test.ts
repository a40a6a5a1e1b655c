import { expect, it } from "vitest";
import { rank, type TraceRow } from "./contributions";
import { totalLines } from "./total-lines";

const parts = (image: number, text: number) => ({ image, text, total: image + text });
const row = (feature: number, image: number, text: number, kinds: TraceRow["kinds"] = []): TraceRow => ({
  feature,
  label: null,
  concept: null,
  kinds,
  image,
  text,
  measured: null,
  at: { positions: [], values: [] },
});
// 0.25 of the features' share was not sent one by one.
const rows = [row(1, 2, 1), row(2, -1, 0.5, ["sink"]), row(3, 0, 0.75)];
const totals = { whole: parts(2, 4), features: parts(1, 2.5), error: parts(0.5, 1), bias: parts(0.5, 0.5) };

it.each([
  ["all", []],
  ["all", ["sink"]],
  ["image", ["sink"]],
  ["text", []],
] as const)("loses nothing of the whole: %s, without %j", (where, without) => {
  const lines = totalLines({ rows, totals }, rank(rows, where, without), where);
  expect(lines.reduce((sum, { value }) => sum + value, 0)).toBeCloseTo(totals.whole.total, 9);
  expect(lines.find(({ name }) => name === "smaller features")?.value).toBeCloseTo(0.25, 9);
});

it("names what the list leaves out, and what lies where one does not look", () => {
  const lines = totalLines({ rows, totals }, rank(rows, "image", ["sink"]), "image");
  expect(lines.map(({ name, value }) => [name, value])).toEqual([
    ["1 feature in the list", 2],
    ["1 feature left out", -1],
    ["from words", 2.25],
    ["smaller features", 0.25],
    ["error term", 1.5],
    ["bias", 1],
  ]);
});
