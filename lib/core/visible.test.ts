import { expect, it } from "vitest";
import { visible } from "./visible";

it("shows what cannot be seen, and leaves every script as it is", () => {
  expect(visible("a\0b/c d")).toBe("a␀b/c d");
  expect(visible("\n\u007f\u202e\u0085\ud800")).toBe("␊␡‹U+202E›‹U+0085›‹U+D800›");
  for (const text of ["", "wörter 🥝", "לימון", "👩‍🍳", "50%"]) expect(visible(text)).toBe(text);
});

it("cuts between characters, and says so", () => {
  expect(visible("🥝".repeat(5), 3)).toBe("🥝🥝…");
  expect(visible("abc", 3)).toBe("abc");
});
