/** Files of other tools, from the disk into the catalogue and out to what a page reads. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { decodeMap, toDense } from "@/lib/core/sparse-map";
import { openSource } from "@/lib/formats/readers";
import { listFeatures } from "@/lib/search/list-features";
import type { Database } from "./db";
import { findFeature } from "./feature-detail";
import { featureHistograms } from "./histograms";
import { importSource } from "./import-source";
import { openEmptyDatabase } from "./test-catalog";

const fixtures = path.resolve(import.meta.dirname, "../formats/data/fixtures");
const at = (...names: string[]) => names.map((name) => path.join(fixtures, name));
let folder: string;
let db: Database;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-import-data-"));
  db = await openEmptyDatabase(path.join(folder, "images"));
});
afterEach(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

const counts = async () => {
  const found: Record<string, number> = {};
  for (const table of ["model", "dictionary", "image", "text_sequence", "feature", "activation", "explanation", "score"]) {
    found[table] = (await db.rows<{ n: number }>(`SELECT count(*)::int AS n FROM ${table}`))[0]?.n ?? -1;
  }
  return { ...found, files: (await readdir(path.join(folder, "images"), { recursive: true }).catch(() => [])).length };
};

it("Neuronpedia's features have words on their cards and whole texts on their pages; the same again changes nothing", async () => {
  const source = await openSource(at("neuronpedia"));
  const first = await importSource(db, source);
  expect(first.dictionaries).toMatchObject([{ ref: "gpt2-small/model.layers.5", outcome: "added" }]);
  expect((await importSource(db, await openSource(at("neuronpedia")))).dictionaries[0]?.outcome).toBe("unchanged");
  const page = await listFeatures(db, parseFeatureQuery({ dictionary: "gpt2-small/model.layers.5", sort: "index" }));
  const card = page.items.find((item) => item.index === 0);
  expect(card).toMatchObject({ label: "cats and dogs", density: null, textDensity: 0.01, images: null, top: [] });
  const text = card?.text;
  expect(text?.peak).toBe(card?.maxActivation);
  const dense = toDense(decodeMap(text?.map ?? { p: "", v: "" }), 1, text?.tokens.length ?? 0);
  expect(Math.max(...dense)).toBeCloseTo(text?.peak ?? 0, 1);
  const { texts, explanations } = await findFeature(db, "gpt2-small/model.layers.5", 3);
  expect(texts).toHaveLength(4);
  expect(explanations).toMatchObject([{ text: null, failure: expect.stringContaining("unable to produce") }]);
  expect(page.items.find((item) => item.index === 11)).toMatchObject({ dead: true, text: null });
});

it("the paper's cache, image set and explanations become one dictionary", async () => {
  const paths = at("paper/cache", "images", "paper/explanations");
  await importSource(db, await openSource(paths, { model: "llava", grid: "4x4" }));
  const { feature, examples, explanations, histogram } = await findFeature(db, "llava/model.layers.24", 0);
  expect(feature).toMatchObject({ label: "lemon", concept: "object", iou: 0.5, images: 9 });
  expect(examples.top).toHaveLength(5);
  expect(explanations[0]?.scores.map((score) => score.metric)).toEqual(["clip", "consistency", "iou"]);
  expect(histogram?.counts).toHaveLength(32);
  // CLIP's scores go to 100.
  const { clip } = (await featureHistograms(db, "llava/model.layers.24")).metrics;
  expect([clip?.edges.at(-1), clip?.counts.findIndex((count) => count > 0)]).toEqual([100, Math.floor((24 / 100) * 32)]);
  expect((await counts()).files).toBeGreaterThan(12);
});

it("a refused import leaves nothing behind, whichever file is broken", async () => {
  const before = await counts();
  await cp(fixtures, path.join(folder, "copy"), { recursive: true });
  const copy = (name: string) => path.join(folder, "copy", name);
  const broken: [string, string[]][] = [
    ["paper/cache/model.layers.24/20_39.safetensors", ["paper/cache", "images"]],
    ["images/images.parquet", ["paper/cache", "images"]],
    ["paper/explanations/iou.json", ["paper/cache", "images", "paper/explanations"]],
    ["delphi/explanations/layers.5_latent3.txt", ["delphi"]],
    ["neuronpedia/activations/batch-0.jsonl.gz", ["neuronpedia"]],
  ];
  for (const [name, paths] of broken) {
    const whole = await readFile(copy(name));
    await writeFile(copy(name), whole.subarray(0, Math.floor(whole.length * 0.7)));
    const refused = openSource(paths.map(copy), { model: "m", grid: "4x4" }).then((source) => importSource(db, source));
    await expect(refused, name).rejects.toMatchObject({
      code: expect.stringMatching(/_invalid$/),
      message: expect.stringContaining(path.basename(name)),
    });
    await writeFile(copy(name), whole);
  }
  expect(await counts()).toEqual(before);
});
