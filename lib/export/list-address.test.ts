import { expect, it } from "vitest";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { parseListAddress } from "./list-address";

const ref = "m/model.layers.1";
const plain = { ...emptyFeatureQuery, dictionary: ref };

it("reads a page's address, whole or what stands after its question mark", () => {
  const wanted = { query: { ...plain, sort: "density", direction: "desc", concepts: ["object"] }, sorted: true, version: undefined };
  for (const address of [
    "sort=-density&concept=object",
    "?sort=-density&concept=object",
    `/d/${ref}?sort=-density&concept=object&view=table&at=1042`,
    `http://127.0.0.1:3000/d/${ref}?sort=-density&concept=object#list`,
    `https://facet.example/api/features.csv?dictionary=m/model.layers.1&sort=-density&concept=object`,
    `/api/features?dictionary=m%2Fmodel.layers.1&limit=20&cursor=abc&sort=-density&concept=object`,
  ]) {
    expect(parseListAddress(ref, address), address).toEqual(wanted);
  }
  for (const address of ["", "?", `/d/${ref}`, `http://127.0.0.1:3000/d/${ref}`]) {
    expect(parseListAddress(ref, address), address).toEqual({ query: plain, sorted: false, version: undefined });
  }
  expect(parseListAddress(ref, `/d/${ref}?v=0123456789ab`).version).toBe("0123456789ab");
});

it("keeps a search with question marks, hashes and spaces", () => {
  expect(parseListAddress(ref, "q=what?&sort=index").query).toMatchObject({ q: "what?", sort: "index" });
  expect(parseListAddress(ref, "q=a #14?x=y").query.q).toBe("a #14?x=y");
  expect(parseListAddress(ref, `/d/${ref}?q=%23C%3F`).query.q).toBe("#C?");
});

it("refuses another dictionary's page, and keys that no list has", () => {
  expect(() => parseListAddress(ref, "/d/m/other?sort=index")).toThrow(/is not the page of m\/model\.layers\.1/);
  expect(() => parseListAddress(ref, "dictionary=m/other")).toThrow(/the command m\/model\.layers\.1/);
  expect(() => parseListAddress(ref, "sorted=index")).toThrow(/"sorted" is not a query key/);
});
