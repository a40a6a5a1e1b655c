/** What was exported in another tool's format is read back by the reader of that format, with the same numbers. */
import { readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withExport } from "@/lib/catalog/export-source";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { rowsOf } from "@/lib/formats/data/test-rows";
import { openSource } from "@/lib/formats/readers";
import type { SourceDictionary } from "@/lib/formats/source";
import { exportDictionaries } from "./export-dictionaries";

const ref = "test-model/model.layers.1";
const features = 1_100;
let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features,
    images: 12,
    edit: ({ scores = [], tokens = [], features = [], explanations = [] }) => {
      const score = { index: 0, explanation: "causal", n: 5, baseline: null, failure: null, method: "by a judge" };
      scores.push({ ...score, metric: "clip", value: 23.6 }, { ...score, metric: "consistency", value: 1 });
      scores.push({ ...score, index: 1, metric: "consistency", value: null, failure: "no verdict" });
      tokens.push({ index: 0, kind: "suppresses", rank: 0, token: " against", value: -1.25 });
      Object.assign(features[2] ?? {}, { density: null, image_share: null });
      Object.assign(features[3] ?? {}, { text_density: null, mean_activation: null });
      Object.assign(explanations[0] ?? {}, { created_at: "2026-01-02T03:04:05.678901Z" });
    },
  });
}, 240_000);
afterAll(() => catalog?.close());

/** Every row of what is in the catalogue, as an export reads it. */
async function stored() {
  return withExport(catalog.db, [{ ref }], async ({ dictionaries, texts }) => {
    const { tables } = dictionaries[0] as SourceDictionary;
    return {
      texts: new Map((await rowsOf(texts)).map((row) => [row.id, row.tokens])),
      features: await rowsOf(tables.features),
      activations: await rowsOf(tables.activations),
      explanations: await rowsOf(tables.explanations),
      scores: await rowsOf(tables.scores),
      neighbours: await rowsOf(tables.neighbours),
      tokens: await rowsOf(tables.tokens),
    };
  });
}

async function readBack(format: "paper" | "neuronpedia") {
  const folder = path.join(catalog.folder, format);
  await exportDictionaries(catalog.db, [{ ref }], format, folder);
  const into = { ref, sha256: "", num_latents: features };
  const source = await openSource([folder], format === "paper" ? { model: "test-model", into } : {});
  expect(source.model.id).toBe("test-model");
  const [dictionary] = source.dictionaries as [SourceDictionary];
  expect(dictionary.entry).toMatchObject({ hook: "model.layers.1", num_latents: features });
  return { folder, tables: dictionary.tables, texts: new Map((await rowsOf(source.texts)).map((row) => [row.id, row.tokens])) };
}

it("the paper's JSON", async () => {
  const before = await stored();
  const { tables } = await readBack("paper");
  const preferred = before.explanations.filter((one) => one.preferred);
  expect((await rowsOf(tables.explanations)).map(({ index, text, label, concept }) => ({ index, text, label, concept }))).toEqual(
    preferred.map(({ index, text, label, concept }) => ({ index, text, label, concept })),
  );
  const scored = before.scores.filter(({ metric }) => ["iou", "clip", "consistency"].includes(metric));
  const key = (row: { index: number; metric: string }) => `${row.index} ${row.metric}`;
  const numbers = (rows: typeof scored) =>
    rows.map((row) => [key(row), row.value, row.value === null ? null : row.metric === "consistency" ? 1 : row.n]).sort();
  const back = await rowsOf(tables.scores);
  expect(scored.filter(({ value }) => value === null).length).toBeGreaterThan(100);
  expect(numbers(back)).toEqual(numbers(scored));
  for (const row of back) expect(row.value === null).toBe(row.failure !== null);
});

it("Neuronpedia's lines, in batches of 1,024 features", async () => {
  const before = await stored();
  const { folder, tables, texts } = await readBack("neuronpedia");
  for (const kind of ["features", "explanations", "activations"]) {
    expect(await readdir(path.join(folder, kind))).toEqual(["batch-0.jsonl.gz", "batch-1.jsonl.gz"]);
  }
  const back = await rowsOf(tables.features);
  for (const [i, row] of before.features.entries()) {
    // Over images is what the format has no key for.
    const { images: _, active_tokens: __, sink: ___, hist_counts, page_key: ____, ...kept } = row as typeof row & { page_key?: number };
    const { mean_activation } = kept;
    expect(back[i]).toMatchObject({ ...kept, mean_activation: mean_activation ?? back[i]?.mean_activation });
    expect(back[i]?.hist_counts ?? null).toEqual(hist_counts?.some((one) => one > 0) ? hist_counts : null);
  }
  const kinds = ["writes", "suppresses"];
  const tokens = (rows: typeof before.tokens) => rows.filter(({ kind }) => kinds.includes(kind)).map((row) => JSON.stringify(row));
  expect(tokens(await rowsOf(tables.tokens)).sort()).toEqual(tokens(before.tokens).sort());
  expect(await rowsOf(tables.neighbours)).toEqual(before.neighbours.filter(({ neighbour, index }) => neighbour !== index));
  expect(await rowsOf(tables.explanations)).toEqual(
    before.explanations.filter(({ text }) => text !== null).map((row) => ({ ...row, prompt: null })),
  );
  expect(await rowsOf(tables.scores)).toEqual(before.scores.map((row) => ({ ...row })));
  // One on which nothing fires shows nothing.
  const examples = before.activations.filter(({ band, peak }) => band === "text" && peak > 0);
  const shown = (rows: typeof examples, spelled: Map<number, string[]>) =>
    rows.map(({ text, positions, values, mean, ...row }) => ({
      ...row,
      tokens: spelled.get(text as number),
      mean: mean.toFixed(4),
      positions: Buffer.from(positions).toString("hex"),
      values: Buffer.from(values).toString("hex"),
    }));
  // Peaks are those of the map, whose values are fp16.
  const rounded = (rows: ReturnType<typeof shown>) => rows.map(({ peak, mean, ...row }) => row);
  const after = await rowsOf(tables.activations);
  expect(rounded(shown(after, texts))).toEqual(rounded(shown(examples, before.texts)));
  for (const [i, row] of after.entries()) expect(row.peak).toBeCloseTo(examples[i]?.peak ?? 0, 2);
});
