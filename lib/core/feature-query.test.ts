import { describe, expect, it } from "vitest";
import { emptyFeatureQuery, featureQueryParams, parseFeatureQuery } from "./feature-query";

describe("feature queries", () => {
  it("have defaults", () => {
    expect(parseFeatureQuery({})).toEqual(emptyFeatureQuery);
    expect(emptyFeatureQuery).toMatchObject({ sort: "steer", direction: "desc" });
    expect(featureQueryParams(emptyFeatureQuery)).toEqual({});
    expect(parseFeatureQuery({ q: "red" })).toMatchObject({ sort: "relevance", direction: "desc" });
    expect(featureQueryParams(parseFeatureQuery({ q: "red" }))).toEqual({ q: "red" });
  });

  it.each<Record<string, string>>([
    {
      dictionary: "m/d.1",
      q: "a & b",
      sort: "-density",
      concept: "object,colour",
      iou_min: "0.25",
      images_max: "1000",
      dead: "0",
      sink: "1",
      scored_by: "detection,iou",
    },
    { sort: "-index", limit: "7", cursor: "abc" },
    { sort: "index" },
    { sort: "steer" },
    { q: "red", sort: "-steer" },
    { q: "red", sort: "index" },
    { q: "red", sort: "iou", density_min: "0", density_max: "1e-7" },
    { max_activation_min: "-3.5" },
  ])("come back from %o", (params) => {
    expect(featureQueryParams(parseFeatureQuery(params))).toEqual(params);
    expect(parseFeatureQuery(featureQueryParams(parseFeatureQuery(params)))).toEqual(parseFeatureQuery(params));
  });

  it("count an empty value as absent, and drop what is the default", () => {
    expect(featureQueryParams(parseFeatureQuery({ q: "", concept: "", iou_min: "", sort: "-steer", limit: "50" }))).toEqual({});
    expect(featureQueryParams(parseFeatureQuery({ q: "x", sort: "-relevance" }))).toEqual({ q: "x" });
  });

  it.each<[Record<string, string>, string]>([
    [{ page: "2" }, "unknown_query_key"],
    [{ __proto__x: "1" }, "unknown_query_key"],
    [{ sort: "name" }, "invalid_request"],
    [{ sort: "--iou" }, "invalid_request"],
    [{ concept: "object,mood" }, "invalid_request"],
    [{ scored_by: "density" }, "invalid_request"],
    [{ sort: "constructor" }, "invalid_request"],
    [{ iou_min: "high" }, "invalid_request"],
    [{ iou_min: "Infinity" }, "invalid_request"],
    [{ dead: "yes" }, "invalid_request"],
    [{ limit: "0" }, "invalid_request"],
    [{ limit: "1.5" }, "invalid_request"],
    [{ limit: "101" }, "invalid_request"],
    [{ q: "x".repeat(2_001) }, "invalid_request"],
    [{ cursor: "x".repeat(513) }, "invalid_request"],
  ])("refuse %o", (params, code) => {
    expect(() => parseFeatureQuery(params)).toThrowError(expect.objectContaining({ code }));
  });

  it("refuse a key given twice", () => {
    expect(() => parseFeatureQuery(new URLSearchParams("sort=iou&sort=density"))).toThrowError(/given twice/);
  });
});
