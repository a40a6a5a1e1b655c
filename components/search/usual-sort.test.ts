import { expect, it } from "vitest";
import { emptyFeatureQuery, parseFeatureQuery } from "@/lib/core/feature-query";
import { type Histograms, metricKeys } from "@/lib/core/records";
import { measuredIn, usualSort } from "@/lib/core/usual-sort";
import { isAddressOf, listKey, listParams, parseListUrl } from "./list-url";

const bins = (counts: number[]) => ({ edges: [0, 1, 2], counts, missing: 0 });

it("opens a list with what its dictionary was measured by: steering, else another score, else the index", () => {
  const histograms: Histograms = {
    metrics: { steer: bins([0, 0]), density: bins([3, 1]), detection: bins([0, 2]) },
    concepts: {},
    flags: {},
  };
  const measured = measuredIn(histograms);
  expect(measured).toEqual(["density", "detection"]);
  expect(usualSort(measured)).toEqual({ sort: "detection", direction: "desc" });
  expect(usualSort(["density", "max_activation"])).toEqual({ sort: "index", direction: "asc" });
  expect(usualSort([])).toEqual({ sort: "index", direction: "asc" });
  expect(usualSort(metricKeys)).toEqual({ sort: emptyFeatureQuery.sort, direction: emptyFeatureQuery.direction });
});

it("takes the dictionary's order only where the address names none and searches for nothing", () => {
  const usual = usualSort([]);
  const sortOf = (params: Record<string, string>) => parseListUrl("m/d", params, usual).query.sort;
  expect(sortOf({})).toBe("index");
  expect(sortOf({ density_min: "0.1" })).toBe("index");
  expect(sortOf({ sort: "-density" })).toBe("density");
  expect(sortOf({ q: "lemon" })).toBe("relevance");
  // Elsewhere (the API, another dictionary) the same list is named in full.
  const { query } = parseListUrl("m/d", {}, usual);
  expect(listParams(query)).toEqual({ sort: "index" });
  expect(parseFeatureQuery(listParams(query)).sort).toBe("index");
  expect(isAddressOf(listKey(query), { pathname: "/d/m/d", search: "?at=3" }, usual)).toBe(true);
  expect(isAddressOf(listKey(query), { pathname: "/d/m/d", search: "?sort=-density" }, usual)).toBe(false);
});
