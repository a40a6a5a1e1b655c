import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withExport } from "@/lib/catalog/export-source";
import { findFeature } from "@/lib/catalog/feature-detail";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { textExamples } from "@/lib/catalog/text-examples";
import type { SourceDictionary } from "@/lib/formats/source";
import { writeNeuronpediaFiles } from "./neuronpedia";
import { writePaperFiles } from "./paper";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features: 30,
    images: 12,
    edit: ({ scores = [] }) => {
      const score = { index: 0, explanation: "causal", n: 5, baseline: null, failure: null, method: "by a judge" };
      scores.push({ ...score, metric: "clip", value: 0.25 }, { ...score, metric: "consistency", value: 1 });
    },
  });
}, 240_000);
afterAll(() => catalog?.close());

it("are the paper's", async () => {
  const folder = path.join(catalog.folder, "paper");
  const written = await withExport(catalog.db, [{ ref }], ({ dictionaries }) =>
    writePaperFiles(dictionaries[0] as SourceDictionary, folder),
  );
  const read = async (name: string) => JSON.parse(await readFile(path.join(folder, name), "utf8"));
  expect((await readdir(folder)).sort()).toEqual(Object.keys(written).sort());
  const explanations: Record<string, string>[] = await read("model_layers_1.json");
  expect(explanations[0]).toEqual({ "model.layers.1_feature0": "This fires on circle drawn on a plain background." });
  expect(explanations).toHaveLength(written["model_layers_1.json"] ?? 0);
  // A failed explanation is none; a failed score is −1.
  expect(explanations.some((one) => "model.layers.1_feature6" in one)).toBe(false);
  const iou: { feature: string; iou_scores: number[]; avg_iou: number; k: number; label: string }[] = await read("iou.json");
  const { feature } = await findFeature(catalog.db, ref, 0);
  expect(iou[0]).toEqual({
    feature: "model.layers.1_feature0",
    iou_scores: [feature.iou],
    avg_iou: feature.iou,
    k: 12,
    activated_pct: null,
    label: "circle",
    n: 12,
  });
  expect(iou.find((one) => one.feature === "model.layers.1_feature3")).toMatchObject({ avg_iou: -1 });
  expect(await read("clip.json")).toEqual([
    { feature: "model.layers.1_feature0", clip_scores: [0.25], avg_score: 0.25, k: 5, label: "circle", n: 5 },
  ]);
  expect(await read("consistency.json")).toEqual({ "model.layers.1_feature0": "1" });
  expect((await read("labels.json"))["model.layers.1_feature0"]).toBe("object");
  expect((await read("refined.json"))["model.layers.1_feature1"]).toBe("red things");
});

it("are Neuronpedia's", async () => {
  const folder = path.join(catalog.folder, "neuronpedia");
  const counts = await withExport(catalog.db, [{ ref }], (source, client) =>
    writeNeuronpediaFiles(source, source.dictionaries[0] as SourceDictionary, textExamples(client, source.ids[0] ?? 0, 30), folder),
  );
  const lines = async (kind: string): Promise<Record<string, unknown>[]> =>
    gunzipSync(await readFile(path.join(folder, kind, "batch-0.jsonl.gz")))
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
  const detail = await findFeature(catalog.db, ref, 0);
  const origin = { modelId: "test-model", layer: "model.layers.1", index: "0" };
  const features = await lines("features");
  expect(features).toHaveLength(30);
  expect(features[0]).toMatchObject({
    ...origin,
    maxActApprox: detail.feature.maxActivation,
    frac_nonzero: detail.feature.textDensity,
    topkCosSimIndices: detail.neighbours.filter(({ kind }) => kind === "decoder").map(({ index }) => index),
    pos_str: detail.tokens.writes.map(({ token }) => token),
    pos_values: detail.tokens.writes.map(({ value }) => value),
    freq_hist_data_bar_heights: detail.histogram?.counts,
  });
  expect((features[0]?.freq_hist_data_bar_values as number[] | undefined)?.[0]).toBeCloseTo((detail.histogram?.edges[1] ?? 0) / 2, 6);
  const explanations = await lines("explanations");
  expect(explanations[0]).toMatchObject({
    ...origin,
    description: detail.explanations[0]?.text,
    explanationModelName: "test-model",
    typeName: "causal",
  });
  const [example] = await lines("activations");
  expect(example).toMatchObject({ ...origin, tokens: [" a", " word0", ' "quoted\\', "."], maxValueTokenIndex: 2 });
  const values = example?.values as number[];
  expect([values[0], values[3]]).toEqual([0, 0]);
  expect(Math.max(...values)).toBe(example?.maxValue);
  expect(counts).toEqual({ features: 30, explanations: explanations.length, activations: (await lines("activations")).length });
});
