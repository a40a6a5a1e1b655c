import { describe, expect, it } from "vitest";
import { markDifferences, markTokens, splitWords, wordDistance } from "./word-diff";

const marked = (left: string, right: string) => {
  const [a, b] = [splitWords(left), splitWords(right)];
  const marks = markDifferences(a, b);
  const pick = (words: string[], flags: boolean[]) => words.filter((_, i) => flags[i]).map((word) => word.trim());
  expect(marks.left).toHaveLength(a.length);
  expect(marks.right).toHaveLength(b.length);
  return { left: pick(a, marks.left), right: pick(b, marks.right) };
};

describe("word-diff", () => {
  it("splits without losing a character", () => {
    const text = "It's a cat, at the top-left.  Ein Hündchen!";
    expect(splitWords(text).join("")).toBe(text);
    expect(splitWords(text)).toContain(" top-left");
    expect(splitWords("")).toEqual([]);
  });

  it("keeps marks with their letters and emoji whole, and takes Chinese and Japanese letter by letter", () => {
    expect(splitWords("एक नींबू बाईं ओर")).toEqual(["एक", " नींबू", " बाईं", " ओर"]);
    expect(splitWords("左边 れもん")).toEqual(["左", "边", " れ", "も", "ん"]);
    expect(splitWords("a 👩🏽‍🚀🇫🇷❤️!")).toEqual(["a", " 👩🏽‍🚀", "🇫🇷", "❤️", "!"]);
    expect(marked("柠檬在左边", "狗在左边")).toEqual({ left: ["柠", "檬"], right: ["狗"] });
  });

  it("marks only what differs", () => {
    expect(marked("a cat on the left.", "a red dog on the left.")).toEqual({ left: ["cat"], right: ["red", "dog"] });
    expect(marked("same words", "same words")).toEqual({ left: [], right: [] });
    expect(marked("", "new")).toEqual({ left: [], right: ["new"] });
  });

  it("marks all tokens of a word that differs, and none of one that is split otherwise", () => {
    expect(markTokens(["a", " le", "mon", ",", " red"], ["a", " le", "vel", ",", " r", "ed"])).toEqual({
      left: [false, true, true, false, false],
      right: [false, true, true, false, false, false],
    });
    expect(markTokens(["a", " "], [])).toEqual({ left: [true, false], right: [] });
  });

  it("pays no heed to the space before a word", () => {
    expect(marked("cat", " cat")).toEqual({ left: [], right: [] });
  });
});

it("measures how far two texts are apart in words", () => {
  expect(wordDistance("a dog, red", "a dog, red")).toBe(0);
  expect(wordDistance("a dog", "two cats")).toBe(1);
  expect(wordDistance("a red dog", "a dog")).toBeCloseTo(0.2);
  expect(wordDistance("", "")).toBe(0);
  expect(wordDistance("", "a dog")).toBe(1);
});
