import { describe, expect, it } from "vitest";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { fromParam, isAddressOf, listKey, listParams, pageSize, parseListUrl } from "./list-url";

const dictionary = "m/d";

describe("the address of a list", () => {
  it("is read whole", () => {
    const url = parseListUrl(dictionary, {
      q: "lemon",
      sort: "-iou",
      concept: "object,colour",
      density_min: "0.001",
      dead: "0",
      view: "table",
      at: "417",
      cursor: "abc",
    });
    expect(url).toEqual({
      query: {
        ...emptyFeatureQuery,
        dictionary,
        q: "lemon",
        sort: "iou",
        direction: "desc",
        concepts: ["object", "colour"],
        ranges: { density: { min: 0.001 } },
        flags: { dead: false },
        limit: pageSize,
        cursor: "abc",
      },
      view: "table",
      at: 417,
    });
  });

  it("comes back from its query, without the place in it", () => {
    const params = { q: "lemon", sort: "-iou", concept: "object", iou_min: "0.5", sink: "1" };
    expect(listParams(parseListUrl(dictionary, { ...params, cursor: "x", at: "3" }).query)).toEqual(params);
    expect(fromParam(parseListUrl(dictionary, params).query)).toBe("q=lemon&sort=-iou&concept=object&iou_min=0.5&sink=1");
    expect(fromParam(parseListUrl(dictionary, {}).query)).toBe("");
  });

  it("takes what is absent or odd as nothing", () => {
    expect(parseListUrl(dictionary, { view: "x", at: "-2", q: null, sort: undefined })).toMatchObject({ view: "grid", at: null });
  });

  it("is told apart from another list's, whatever the place in it", () => {
    const key = listKey(parseListUrl(dictionary, { q: "lemon", sort: "-iou" }).query);
    expect(isAddressOf(key, { pathname: "/d/m/d", search: "?sort=-iou&q=lemon&at=4&cursor=x&view=table" })).toBe(true);
    expect(isAddressOf(key, { pathname: "/d/m/d", search: "?sort=-iou" })).toBe(false);
    expect(isAddressOf(key, { pathname: "/d/m/d/4", search: "?sort=-iou&q=lemon" })).toBe(false);
    expect(isAddressOf(key, { pathname: "/d/m/d", search: "?iou_min=much" })).toBe(false);
  });

  it("refuses what it does not know", () => {
    expect(() => parseListUrl(dictionary, { colour: "red" })).toThrow(/not a query key/);
    expect(() => parseListUrl(dictionary, { iou_min: "much" })).toThrow(/must be a number/);
  });

  it("pages fill every number of columns", () => {
    for (const columns of [1, 2, 3, 4, 6, 8]) expect(pageSize % columns).toBe(0);
  });
});
