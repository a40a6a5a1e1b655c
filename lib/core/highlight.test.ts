import { expect, it } from "vitest";
import { highlightPieces, withoutHighlight } from "./highlight";

it("splits at the marks", () => {
  expect(highlightPieces("a \uE000ripe\uE001 lemon")).toEqual([
    { text: "a ", match: false },
    { text: "ripe", match: true },
    { text: " lemon", match: false },
  ]);
  expect(highlightPieces("")).toEqual([]);
  expect(highlightPieces("\uE000all")).toEqual([{ text: "all", match: true }]);
  expect(withoutHighlight("a \uE000ripe\uE001 lemon")).toBe("a ripe lemon");
});
