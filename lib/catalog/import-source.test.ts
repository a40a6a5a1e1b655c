import { existsSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { featureColumns } from "@/lib/formats/bundle";
import { combine } from "@/lib/formats/combine";
import { type DictionaryWeights, type ExplanationRow, type FeatureRow, madeTable, type Part, unmeasured } from "@/lib/formats/source";
import { findDictionary, listDictionaries, locateDictionary } from "./dictionaries";
import { dropDictionary } from "./drop-dictionary";
import { findFeature } from "./feature-detail";
import { imagePath, storedImages } from "./image-files";
import { importBundle } from "./import-bundle";
import { importSource } from "./import-source";
import { writeTestBundle } from "./test-bundle";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
}, 120_000);
afterAll(() => catalog?.close());

const ref = "test-model/model.layers.1";

function explanation(index: number, method: string, text: string): ExplanationRow {
  const common = { author: "someone", concept: null, failure: null, prompt: null, created_at: "2026-02-03T04:05:06Z" };
  return { index, method, text, label: text.split(" ")[0] ?? null, preferred: true, ...common };
}

function part(content: string, rows: ExplanationRow[], features: Partial<FeatureRow>[] = [], scores: Record<string, unknown>[] = []): Part {
  return {
    kind: "tables",
    format: "test",
    found: "Explanations.",
    path: content,
    content,
    hook: null,
    num_latents: null,
    tables: {
      explanations: madeTable("explanations", rows.length, () => rows),
      features: madeTable<typeof featureColumns>("features", features.length, () =>
        features.map((row) => ({ ...unmeasured(row.index ?? 0), ...row })),
      ),
      scores: madeTable("scores", scores.length, () => scores as never),
    },
  };
}

async function addInto(parts: Part[]) {
  const { id, dictionary } = await locateDictionary(catalog.db, ref);
  const into = { ref, sha256: dictionary.sha256, num_latents: dictionary.numLatents };
  return importSource(catalog.db, combine(parts, { model: dictionary.model.id, name: dictionary.id, hook: dictionary.hook, into }), {
    into: { id, ref },
  });
}

it("adds files to a dictionary that is there: they replace what they measure and leave the rest", async () => {
  await catalog.add({ features: 30, images: 12 });
  const before = await findFeature(catalog.db, ref, 0);
  const other = await findFeature(catalog.db, ref, 3);
  const added = part(
    "first",
    [explanation(0, "by-hand", "hands of a clock")],
    [{ index: 0, density: 0.125, images: 3 }],
    [
      { index: 0, explanation: "by-hand", metric: "iou", value: 0.5, baseline: null, n: 4, failure: null, method: "by hand" },
      // Scores alone find the explanation that is there.
      { index: 3, explanation: "causal", metric: "likeness", value: 0.25, baseline: null, n: 4, failure: null, method: "by hand" },
    ],
  );
  expect((await addInto([added])).dictionaries).toEqual([
    { ref, sha256: before.dictionary.sha256, version: before.dictionary.sha256, outcome: "extended", beside: [] },
  ]);

  const after = await findFeature(catalog.db, ref, 0);
  expect(after.feature).toMatchObject({ label: "hands", density: 0.125, images: 3, iou: 0.5 });
  expect(after.explanations.map(({ method, preferred }) => [method, preferred])).toEqual([
    ["by-hand", true],
    ["causal", false],
    ["top-images", false],
  ]);
  const scoresOf = (detail: typeof before, method: string) => detail.explanations.find((one) => one.method === method)?.scores;
  expect(scoresOf(after, "causal")).toEqual(scoresOf(before, "causal"));
  expect({ ...after, feature: 0, dictionary: 0, explanations: 0 }).toEqual({ ...before, feature: 0, dictionary: 0, explanations: 0 });
  expect(after.dictionary.importedAt).toBe(before.dictionary.importedAt);

  const kept = await findFeature(catalog.db, ref, 3);
  expect(kept.feature).toEqual(other.feature);
  expect(scoresOf(kept, "causal")?.map((score) => score.metric)).toEqual(["iou", "likeness", "steer"]);
  expect(kept.examples).toEqual(other.examples);

  // Again, and the first import again: both are there already.
  expect((await addInto([added])).dictionaries[0]?.outcome).toBe("unchanged");
  expect((await importBundle(catalog.db, path.join(catalog.folder, "bundle-0"))).dictionaries[0]?.outcome).toBe("unchanged");
  expect((await findFeature(catalog.db, ref, 0)).explanations).toHaveLength(3);
});

it("imports weights alone, of which nothing was measured", async () => {
  const weights = {
    hook: "model.layers.7",
    layer: 7,
    num_latents: 20,
    width: 8,
    activation: "topk",
    k: 2,
    sha256: "d".repeat(64),
    decoderRows: async (start, end) => Float32Array.from({ length: 8 * (end - start) }, (_, i) => Math.sin(8 * start + i)),
  } as DictionaryWeights;
  const source = combine([{ kind: "weights", format: "sparsify", found: "Weights.", path: "sae", content: "w", tables: {}, weights }], {
    model: "other/model",
  });
  expect((await importSource(catalog.db, source)).dictionaries).toMatchObject([{ ref: "other-model/model.layers.7", outcome: "added" }]);
  expect(await findDictionary(catalog.db, "other-model/model.layers.7")).toMatchObject({
    model: { sha256: null, grid: null },
    counts: { features: 20, explained: 0 },
    metrics: { fvu: null, deadShare: null },
  });
  const { feature, activeTokens } = await findFeature(catalog.db, "other-model/model.layers.7", 19);
  expect({ ...feature, activeTokens }).toMatchObject({
    density: null,
    maxActivation: null,
    images: null,
    activeTokens: null,
    label: null,
    dead: false,
  });
  expect((await importSource(catalog.db, source)).dictionaries[0]?.outcome).toBe("unchanged");
});

it("drops one version, its partitions and the images that nothing else shows", async () => {
  const [first] = (await listDictionaries(catalog.db)).filter((one) => one.ref === ref);
  const newer = await catalog.add({ features: 30, images: 24, version: "2" });
  await expect(dropDictionary(catalog.db, ref)).rejects.toMatchObject({
    code: "invalid_request",
    message: expect.stringContaining("2 versions"),
  });
  await expect(dropDictionary(catalog.db, ref, "0000")).rejects.toMatchObject({ code: "version_mismatch" });
  await expect(dropDictionary(catalog.db, "no/such")).rejects.toMatchObject({ code: "dictionary_not_found" });

  const dropped = await dropDictionary(catalog.db, ref, newer.dictionaries[0]?.sha256.slice(0, 12));
  // The drawn images begin alike: the second bundle's first ones are the first bundle's.
  expect(dropped).toMatchObject({ ref, features: 30 });
  expect(dropped.images).toBeGreaterThan(0);
  const { id } = await locateDictionary(catalog.db, ref);
  expect((await locateDictionary(catalog.db, ref)).dictionary.sha256).toBe(first?.sha256);
  const detail = await findFeature(catalog.db, ref, 0);
  for (const { image } of detail.examples.top) expect(existsSync(imagePath(catalog.db.imagesDir, image))).toBe(true);
  const partitions = await catalog.db.rows<{ relname: string }>("SELECT relname FROM pg_class WHERE relname ~ '^feature_d[0-9]+$'");
  expect(partitions.map((row) => row.relname)).toContain(`feature_d${id}`);
  expect(partitions).toHaveLength(2);
  const rows = await catalog.db.rows<{ sha256: string }>("SELECT sha256 FROM image");
  expect(await storedImages(catalog.db.imagesDir)).toEqual(new Set(rows.map((row) => row.sha256)));

  await dropDictionary(catalog.db, ref);
  await dropDictionary(catalog.db, "other-model/model.layers.7");
  for (const table of ["dictionary", "model", "image", "text_sequence", "feature", "activation"]) {
    expect([table, await catalog.db.rows(`SELECT FROM ${table}`)]).toEqual([table, []]);
  }
  expect((await storedImages(catalog.db.imagesDir)).size).toBe(0);
});

it("leaves what was there when images cannot be written", async () => {
  await catalog.add({ features: 30, images: 12 });
  const kept = await storedImages(catalog.db.imagesDir);
  const folder = path.join(catalog.folder, "unwritable");
  await writeTestBundle(folder, { features: 30, images: 24, version: "5", model: "third" });
  const db = Object.create(catalog.db, { imagesDir: { value: path.join(catalog.folder, "bundle-0/manifest.json/images") } });
  await expect(importBundle(db, folder)).rejects.toThrow();
  expect(await storedImages(catalog.db.imagesDir)).toEqual(kept);
  expect((await listDictionaries(catalog.db)).map((one) => one.ref)).toEqual([ref]);
});
