import { describe, expect, it } from "vitest";
import {
  alignDecimals,
  decimalsOf,
  formatActivation,
  formatCompact,
  formatCount,
  formatIndex,
  formatNoun,
  formatPercent,
  formatRate,
  formatScore,
  formatSeconds,
  formatShare,
  inPrint,
} from "./format";

const table = (format: (value: number | null) => string, rows: [number | null, string][]) => {
  for (const [value, text] of rows) it(`${value} → ${text}`, () => expect(format(value)).toBe(text));
};

describe("counts", () => {
  table(formatCount, [
    [0, "0"],
    [2048, "2,048"],
    [null, "–"],
    [Number.NaN, "–"],
  ]);
});

describe("compact", () => {
  table(formatCompact, [
    [7, "7"],
    [999, "999"],
    [1000, "1k"],
    [12_345, "12.3k"],
    [999_960, "1M"],
    [2_100_000, "2.1M"],
    [-12_345, "−12.3k"],
  ]);
});

describe("percent", () => {
  table(formatPercent, [
    [0, "0 %"],
    [1, "100 %"],
    [0.42, "42 %"],
    [0.0421, "4.2 %"],
    [0.00421, "0.42 %"],
    [0.000001, "<0.001 %"],
    [0.99973, "99.97 %"],
    [-0.05, "−5 %"],
    [null, "–"],
  ]);
});

describe("rate", () => {
  table(formatRate, [
    [0, "never"],
    [1, "every"],
    [1 / 240, "1 in 240"],
    [0.4, "1 in 2.5"],
    [0.73, "73 %"],
    [0.0000123, "1 in 81,000"],
    [null, "–"],
  ]);
});

describe("activation", () => {
  table(formatActivation, [
    [0, "0"],
    [0.01234, "0.0123"],
    [12.345, "12.3"],
    [3, "3"],
    [54_321, "54.3k"],
    [-1.5, "−1.5"],
    [0.00001234, "1.2e−5"],
  ]);
});

describe("scores", () => {
  table(formatScore, [
    [0.714, ".71"],
    [1, "1.00"],
    [0, ".00"],
    [-0.2, "−.20"],
    [null, "–"],
  ]);
  table(formatShare, [
    [0.9534, ".953"],
    [0.99999, ".999"],
    [1, "1"],
  ]);
});

it("pads indices to the dictionary's width", () => {
  expect(formatIndex(417, 2048)).toBe("#0417");
  expect(formatIndex(5, 131_072)).toBe("#000005");
  expect(formatIndex(417)).toBe("#417");
});

it("names what it counts", () => {
  expect(formatNoun(1, "feature")).toBe("1 feature");
  expect(formatNoun(2048, "feature")).toBe("2,048 features");
  expect(formatNoun(2, "dictionary", "dictionaries")).toBe("2 dictionaries");
});

it("times", () => {
  expect([0.4, 3.21, 12.4, 200].map(formatSeconds)).toEqual(["400 ms", "3.2 s", "12 s", "3 min 20 s"]);
});

describe("a column", () => {
  it("has its points under each other, whatever the digits", () => {
    const activations = [12.34, 8.2, 0.512, 3, 120].map((value) => alignDecimals(formatActivation(value), 3));
    expect(activations).toEqual([
      "12.3\u2007\u2007",
      "8.2\u2007\u2007",
      "0.512",
      "3\u2008\u2007\u2007\u2007",
      "120\u2008\u2007\u2007\u2007",
    ]);
    const behind = (text: string) => text.length - text.search(/[.\u2008]/);
    expect(new Set(activations.map(behind))).toEqual(new Set([4]));
  });
  it("keeps a unit at its number", () => {
    expect([0.0042, 0.042, 0.42].map((share) => alignDecimals(formatPercent(share), 2))).toEqual([
      "0.42 %",
      "4.2 %\u2007",
      "42 %\u2008\u2007\u2007",
    ]);
  });
  it("leaves what has enough decimals, and puts what is missing at the ones", () => {
    expect(alignDecimals("0.0042 %", 3)).toBe("0.0042 %");
    expect(alignDecimals(formatActivation(null), 1)).toBe("–\u2008\u2007");
    expect(["8.21", "12 %", "–", "−0.5", "<0.001 %", ".71"].map(decimalsOf)).toEqual([2, 0, 0, 1, 3, 2]);
  });
});

it("prints a caption without spaces before its signs, and any other as it is", () => {
  expect(inPrint("a hat , a bell . What ?")).toBe("a hat, a bell. What?");
  for (const caption of ["a hat, a bell.", "at .5 of it", ":-) a face", ""]) expect(inPrint(caption)).toBe(caption);
  expect(inPrint(null)).toBeNull();
});
