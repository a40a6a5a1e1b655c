import { readFile, rm } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dictionarySchema, featureDetailSchema, histogramsSchema, imageInfoSchema } from "@/lib/core/records";
import { decodeMap } from "@/lib/core/sparse-map";
import { findDictionary, listDictionaries } from "./dictionaries";
import { findFeature } from "./feature-detail";
import { featureHistograms } from "./histograms";
import { pickHighlights } from "./home";
import { imagePath } from "./image-files";
import { findImage, listImages, storedActivations } from "./images";
import { importBundle } from "./import-bundle";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
let bundle: string;
let sha256: string;

beforeAll(async () => {
  catalog = await openTestCatalog();
  const added = await catalog.add({ dictionaries: ["model.layers.1", "model.layers.2"] });
  bundle = added.bundle;
  sha256 = added.dictionaries[0]?.sha256 ?? "";
  expect(added.dictionaries.map((dictionary) => dictionary.outcome)).toEqual(["added", "added"]);
}, 120_000);
afterAll(() => catalog?.close());

describe("dictionaries", () => {
  it("lists each with its counts and examples", async () => {
    const dictionaries = await listDictionaries(catalog.db);
    expect(dictionaries.map((dictionary) => dictionary.id)).toEqual(["model.layers.1", "model.layers.2"]);
    const first = dictionarySchema.parse(dictionaries[0]);
    expect(first).toMatchObject({ ref, numLatents: 60, engine: "none", attribution: "Drawn for tests.", sha256 });
    expect(first.counts).toMatchObject({ features: 60, alive: 54, images: 48 });
    expect(first.counts.explained).toBeLessThan(54);
    expect(first.examples).toHaveLength(5);
    expect(new Set(first.examples.map((card) => card.label)).size).toBe(5);
    // The bundle has as many colours: what can be pointed at goes first.
    expect(new Set(first.examples.map((card) => card.concept))).toEqual(new Set(["object"]));
  });

  it("picks features worth opening, no label twice", async () => {
    const highlights = pickHighlights(await listDictionaries(catalog.db));
    expect(highlights).toHaveLength(3);
    expect(new Set(highlights.map(({ card }) => card.label)).size).toBe(3);
    for (const { card } of highlights) expect(card.top.length).toBeGreaterThan(0);
  });

  it("finds one by name and version", async () => {
    expect((await findDictionary(catalog.db, ref)).sha256).toBe(sha256);
    expect((await findDictionary(catalog.db, ref, sha256.slice(0, 12))).sha256).toBe(sha256);
    await expect(findDictionary(catalog.db, ref, "0123456789ab")).rejects.toMatchObject({ code: "version_mismatch" });
    for (const ref of ["test-model/none", "\0/x", "%", ""]) {
      await expect(findDictionary(catalog.db, ref)).rejects.toMatchObject({ code: "dictionary_not_found" });
    }
  });

  it("counts every feature once in each histogram", async () => {
    const histograms = histogramsSchema.parse(await featureHistograms(catalog.db, ref));
    for (const [key, { edges, counts, missing }] of Object.entries(histograms.metrics)) {
      expect([key, counts.reduce((sum, n) => sum + n, missing)]).toEqual([key, 60]);
      expect(edges).toHaveLength(counts.length + 1);
      expect([...edges].sort((a, b) => a - b)).toEqual(edges);
    }
    expect(histograms.flags).toMatchObject({ dead: 6, sink: 1, always_on: 0 });
    expect(Object.keys(histograms.concepts).sort()).toEqual(["colour", "object"]);
    await expect(featureHistograms(catalog.db, "no/such")).rejects.toMatchObject({ code: "dictionary_not_found" });
  });
});

describe("a feature", () => {
  it("comes whole", async () => {
    const feature = featureDetailSchema.parse(await findFeature(catalog.db, ref, 0));
    expect(feature.feature).toMatchObject({ index: 0, label: "circle", concept: "object" });
    expect(feature.explanations.map((one) => [one.method, one.preferred, one.text === null])).toEqual([
      ["causal", true, false],
      ["top-images", false, true],
    ]);
    expect(feature.explanations[0]?.scores.map((score) => score.metric)).toEqual(["iou", "steer"]);
    expect(feature.histogram?.edges).toHaveLength(33);
    expect(feature.histogram?.edges.at(-1)).toBe(feature.feature.maxActivation);
    expect(feature.examples.top.length).toBeGreaterThan(3);
    const peaks = feature.examples.top.map((example) => example.peak);
    expect(peaks).toEqual([...peaks].sort((a, b) => b - a));
    const map = decodeMap(feature.examples.top[0]?.map ?? { p: "", v: "" });
    expect(Math.max(...map.values)).toBeCloseTo(feature.examples.top[0]?.peak ?? 0, 1);
    expect(feature.texts[0]).toMatchObject({ tokens: [" a", " word0", ' "quoted\\', "."], image: null });
    expect(feature.neighbours.map((near) => near.value)).toEqual([...feature.neighbours.map((near) => near.value)].sort((a, b) => b - a));
    expect(feature.tokens.writes[0]?.value).toBe(3);
    expect(feature.tokens.reads).toHaveLength(5);
  });

  it("may be dead or unscored", async () => {
    const dead = featureDetailSchema.parse(await findFeature(catalog.db, ref, 8));
    expect(dead).toMatchObject({ histogram: null, explanations: [], texts: [], neighbours: [] });
    expect(dead.feature).toMatchObject({ dead: true, imageShare: null, top: [] });
    const unscored = await findFeature(catalog.db, ref, 3);
    expect(unscored.feature.iou).toBeNull();
    expect(unscored.explanations[0]?.scores[0]).toMatchObject({ metric: "iou", value: null, failure: "no mask" });
  });

  it.each([60, -1, 1.5, 2 ** 40])("has no index %s", async (index) => {
    await expect(findFeature(catalog.db, ref, index)).rejects.toMatchObject({ code: "feature_not_found" });
  });
});

describe("images", () => {
  it("are listed page by page and found by words", async () => {
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof listImages>> = await listImages(catalog.db, { limit: 20, cursor });
      for (const image of page.items) seen.push(imageInfoSchema.parse(image).sha256);
      cursor = page.next;
    } while (cursor);
    expect(new Set(seen).size).toBe(48);
    const circles = await listImages(catalog.db, { limit: 100, cursor: null, q: "red circles" });
    expect(circles.items.map((image) => image.caption)).toEqual(["a red circle"]);
    await expect(listImages(catalog.db, { limit: 1, cursor: "x" })).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("have their bytes on disk, and a sentence where those are gone; importing again restores them", async () => {
    const { items } = await listImages(catalog.db, { limit: 1, cursor: null });
    const image = items[0]?.sha256 ?? "";
    const found = await findImage(catalog.db, image);
    expect(found.mime).toBe("image/webp");
    expect(Buffer.from(found.bytes)).toEqual(await readFile(imagePath(catalog.db.imagesDir, image)));
    await rm(imagePath(catalog.db.imagesDir, image));
    await expect(findImage(catalog.db, image)).rejects.toMatchObject({ code: "image_not_found" });
    expect(await importBundle(catalog.db, bundle)).toMatchObject({
      images: 1,
      dictionaries: [{ outcome: "unchanged" }, { outcome: "unchanged" }],
    });
    expect((await findImage(catalog.db, image)).bytes.byteLength).toBe(found.bytes.byteLength);
    await expect(findImage(catalog.db, "0".repeat(64))).rejects.toMatchObject({ code: "image_not_found" });
  });

  it("know which stored examples lie on them", async () => {
    const { items } = await listImages(catalog.db, { limit: 1, cursor: null, q: "red circle" });
    const analysis = await storedActivations(catalog.db, ref, items[0]?.sha256 ?? "");
    expect(analysis).toMatchObject({ source: "catalogue", rows: 12, cols: 12, total: analysis.features.length });
    expect(analysis.features.map((feature) => feature.label)).toContain("circle");
    const means = analysis.features.map((feature) => feature.mean);
    expect(means).toEqual([...means].sort((a, b) => b - a));
  });
});
