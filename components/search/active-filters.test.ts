import { describe, expect, it } from "vitest";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { activeFilters, quotedWords } from "./active-filters";

const query = {
  ...emptyFeatureQuery,
  q: "lemon",
  sort: "relevance" as const,
  direction: "desc" as const,
  concepts: ["object" as const, "colour" as const],
  ranges: { density: { min: 0.0042 }, iou: { max: 0.5 }, max_activation: { min: 1, max: 12.34 } },
  flags: { dead: false, sink: true },
  scoredBy: ["iou" as const],
};

describe("active filters", () => {
  it("are said in words", () => {
    expect(activeFilters(query, { withSearch: true }).map((filter) => filter.text)).toEqual([
      "the words “lemon”",
      "object",
      "colour",
      "Density ≥ 0.42 %",
      "Maximum 1 to 12.3",
      "IoU ≤ .50",
      "Not dead",
      "Sink",
      "Scored by IoU",
    ]);
  });

  it("name a long query by its beginning", () => {
    expect(quotedWords("x".repeat(2_000))).toBe(`“${"x".repeat(59)}…”`);
    expect(quotedWords(" 🥳 ")).toBe("“🥳”");
  });

  it("each know what takes them off, and only them", () => {
    let left = query as typeof emptyFeatureQuery;
    for (let n = 9; n > 0; n--) {
      const filters = activeFilters(left, { withSearch: true });
      expect(filters).toHaveLength(n);
      left = { ...left, ...filters[0]?.without };
    }
    expect(left).toEqual(emptyFeatureQuery);
  });

  it("are none without any", () => {
    expect(activeFilters(emptyFeatureQuery, { withSearch: true })).toEqual([]);
  });
});
