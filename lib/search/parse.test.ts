import { describe, expect, it } from "vitest";
import { isEmptySearch, parseSearch } from "./parse";

const terms = (q: string) => parseSearch(q).terms.map((term) => `${term.kind}:${term.text}`);
const without = (q: string) => parseSearch(q).without.map((term) => `${term.kind}:${term.text}`);

describe("parseSearch", () => {
  it("reads keys", () => {
    expect(parseSearch("#14")).toMatchObject({ key: { index: 14, hook: null }, keyOnly: true });
    expect(parseSearch(" 14 ")).toMatchObject({ key: { index: 14, hook: null }, keyOnly: false, terms: [{ kind: "word", text: "14" }] });
    expect(parseSearch("model.layers.24_feature14").key).toEqual({ index: 14, hook: "model.layers.24" });
    expect(parseSearch("fourteen").key).toBeNull();
    expect(parseSearch("99999999999999999999").key).toBeNull();
  });

  it("splits words, phrases and exclusions", () => {
    expect(terms('red "yellow fruit" -"ripe banana" -green apple')).toEqual(["word:red", "phrase:yellow fruit", "word:apple"]);
    expect(without('red "yellow fruit" -"ripe banana" -green apple')).toEqual(["phrase:ripe banana", "word:green"]);
    expect(terms("“yellow fruit” «deux mots»")).toEqual(["phrase:yellow fruit", "phrase:deux mots"]);
    expect(terms('"one"')).toEqual(["word:one"]);
  });

  it("takes the last bare word for one that is still being typed", () => {
    expect(parseSearch("yellow ban").prefix).toBe("ban");
    expect(parseSearch('yellow "ban"').prefix).toBeNull();
    expect(parseSearch("yellow -ban").prefix).toBeNull();
  });

  it("looks for scripts without spaces, and for symbols, as they stand", () => {
    expect(terms("黄色い果物 😀")).toEqual(["substring:黄色い果物", "substring:😀"]);
    expect(terms("собака الكلب")).toEqual(["word:собака", "word:الكلب"]);
  });

  it("drops what asks for nothing, unless there is nothing else", () => {
    expect(terms("the cat & a dog -- !")).toEqual(["word:cat", "word:dog"]);
    expect(terms("the")).toEqual(["word:the"]);
    expect(terms("&&")).toEqual(["substring:&&"]);
    expect(isEmptySearch(parseSearch(" \t\u0000 "))).toBe(true);
    expect(isEmptySearch(parseSearch('""'))).toBe(true);
  });

  it("survives an open quote, lone signs and thousands of words", () => {
    expect(terms('"open quote')).toEqual(['word:"open', "word:quote"]);
    expect(terms("-")).toEqual(["substring:-"]);
    expect(terms(Array.from({ length: 1_000 }, (_, i) => `w${i}`).join(" "))).toHaveLength(32);
  });
});
