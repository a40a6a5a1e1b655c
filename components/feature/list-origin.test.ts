import { describe, expect, it } from "vitest";
import { defaultSort } from "@/lib/core/feature-query";
import { originHref, originParam, originQuery, originWords } from "./list-origin";

describe("the list one came from", () => {
  it("reads and restores the list's address, without its page", () => {
    const query = originQuery("m/d", "q=yellow+fruit&sort=-iou&concept=object&density_max=0.1&limit=20&cursor=abc");
    expect(query).toMatchObject({ dictionary: "m/d", q: "yellow fruit", sort: "iou", direction: "desc", limit: 1, cursor: null });
    expect(originHref(query)).toBe("/d/m/d?q=yellow+fruit&sort=-iou&concept=object&density_max=0.1");
    expect(originQuery("m/d", originParam(query) ?? null)).toEqual(query);
    expect(originWords(query, 312)).toBe("312 features · “yellow fruit” · 2 filters · by IoU");
  });
  it("is the whole list in its usual order when there is none, or none that can be read", () => {
    for (const from of [null, "", "nonsense=1", "sort=up"]) {
      const query = originQuery("m/d", from);
      expect(query).toMatchObject({ ...defaultSort(""), q: "" });
      expect(originParam(query)).toBeUndefined();
      expect(originHref(query)).toBe("/d/m/d");
    }
    expect(originWords(originQuery("m/d", null), 2048)).toBe("2,048 features · by steering effect");
    const byIndex = { sort: "index", direction: "asc" } as const;
    expect(originWords(originQuery("m/d", null, byIndex), 2048)).toBe("2,048 features · by index");
    expect(originWords(originQuery("m/d", "q=x", byIndex), 3)).toBe("3 features · “x” · by best match");
  });
});
