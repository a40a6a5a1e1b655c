import { expect, it } from "vitest";
import type { Arm } from "@/lib/core/protocol";
import type { ArmRun } from "./run-state";
import { compareToken } from "./token-compare";

type Token = [text: string, share: number, alternatives: Record<string, number>];
const ids = ["a", "lemon", "dog", "cat", "two", "heart"];
const idOf = (text: string) => ids.indexOf(text);
const arm = (name: Arm, ...tokens: Token[]): ArmRun => ({
  arm: name,
  receipt: null,
  tokens: tokens.map(([text, share, alternatives]) => ({
    id: idOf(text),
    text: ` ${text}`,
    logprob: Math.log(share),
    alternatives: Object.entries(alternatives).map(([other, p]) => ({ id: idOf(other), text: ` ${other}`, logprob: Math.log(p) })),
  })),
});
const steered = arm("steered", ["a", 0.9, { a: 0.9, two: 0.1 }], ["lemon", 0.7, { lemon: 0.7, dog: 0.2 }]);
const baseline = arm("baseline", ["a", 0.8, { a: 0.8, two: 0.2 }], ["dog", 0.9, { dog: 0.9, cat: 0.05 }]);

it("gives each word's probability in each arm, and what it is below where an arm does not say", () => {
  const { columns, rows } = compareToken(steered, [steered, baseline], 1);
  expect(columns).toEqual([
    { arm: "steered", samePrefix: true, written: idOf("lemon") },
    { arm: "baseline", samePrefix: true, written: idOf("dog") },
  ]);
  const shown = rows.map(({ text, shares }) => [text, ...shares.map((s) => s && `${s.below ? "<" : ""}${s.share.toFixed(2)}`)]);
  expect(shown).toEqual([
    ["lemon", "0.70", "<0.05"],
    ["dog", "0.20", "0.90"],
    ["cat", "<0.20", "0.05"],
  ]);
});

it("says where an arm had written other words before, or had ended", () => {
  const other = arm("negated", ["two", 1, { two: 1 }]);
  const { columns, rows } = compareToken(steered, [baseline, other], 1);
  expect(columns.map(({ arm, samePrefix, written }) => [arm, samePrefix, written])).toEqual([
    ["steered", true, 1],
    ["baseline", true, 2],
    ["negated", false, null],
  ]);
  expect(rows.every(({ shares }) => shares[2] === null)).toBe(true);
});

it("lists a token that was chosen although it is not among the likeliest", () => {
  const sampled = arm("steered", ["heart", 0.01, { a: 0.6, two: 0.2 }]);
  expect(compareToken(sampled, [], 0).rows.map(({ text }) => text)).toEqual(["a", "two", "heart"]);
});
