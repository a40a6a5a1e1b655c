/** import(export(x)) = x, value by value. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Database } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { withExport } from "@/lib/catalog/export-source";
import { storedImages } from "@/lib/catalog/image-files";
import { importBundle } from "@/lib/catalog/import-bundle";
import { importSource } from "@/lib/catalog/import-source";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { bundleSource } from "@/lib/formats/bundle-source";
import { writeBundle } from "@/lib/formats/bundle-write";
import { readOne } from "@/lib/formats/dictionaries/test-dictionaries";
import { openSource } from "@/lib/formats/readers";

let catalog: TestCatalog;
let other: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  other = await openTestCatalog();
}, 240_000);
afterAll(async () => {
  await catalog?.close();
  await other?.close();
});

/** Every value of the catalogue, the database's own numbers left out or named by what they stand for. */
async function everything(db: Database): Promise<Record<string, unknown[]>> {
  const d = "(SELECT ref || sha256 FROM dictionary WHERE id = t.dictionary_id) AS dictionary";
  const image = (column: string) => `(SELECT sha256 FROM image WHERE id = ${column}) AS image`;
  const queries: Record<string, string> = {
    model: "SELECT slug, name, sha256, image_size, grid_rows, grid_cols FROM model ORDER BY slug",
    dictionary: "SELECT to_jsonb(t) - '{id,model_id,added_contents,imported_at}'::text[] AS row FROM dictionary t ORDER BY ref",
    image: "SELECT sha256, mime, width, height, bytes, source, caption FROM image ORDER BY sha256",
    text: `SELECT sha256, tokens, ${image("image_id")} FROM text_sequence ORDER BY sha256`,
    feature: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM feature t ORDER BY 1, index`,
    histogram: `SELECT ${d}, index, to_jsonb(counts) FROM histogram t ORDER BY 1, index`,
    activation: `SELECT ${d}, index, band, rank, ${image("t.image_id")}, (SELECT sha256 FROM text_sequence WHERE id = t.text_id) AS text, rows, cols, peak,
      mean, map_positions, map_values FROM activation t ORDER BY 1, index, band, rank`,
    // Of one feature they keep their order.
    explanation: `SELECT ${d}, to_jsonb(t) - '{dictionary_id,id}'::text[] AS row FROM explanation t ORDER BY 1, index, id`,
    score: `SELECT ${d}, e.index, e.method, e.author, to_jsonb(t) - '{dictionary_id,explanation_id}'::text[] AS row FROM score t
      JOIN explanation e ON e.dictionary_id = t.dictionary_id AND e.id = t.explanation_id ORDER BY 1, e.index, e.id, metric`,
    neighbour: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM neighbour t ORDER BY 1, index, kind`,
    token: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM feature_token t ORDER BY 1, index, kind`,
    search: `SELECT ${d}, index, label, body, words::text FROM search_document t ORDER BY 1, index`,
  };
  const all: Record<string, unknown[]> = {};
  for (const [name, sql] of Object.entries(queries)) all[name] = await db.rows(sql);
  return all;
}

it("is what was imported", async () => {
  await catalog.add({
    dictionaries: ["model.layers.1", "model.layers.2"],
    // What is hard to keep: nulls, quotes, line ends, other scripts, the smallest number, several explanations.
    edit: ({ features = [], explanations = [], images = [], activations = [] }) => {
      Object.assign(features[5] ?? {}, {
        density: null,
        text_density: 5e-324,
        images: null,
        active_tokens: null,
        image_share: null,
        hist_counts: null,
      });
      Object.assign(explanations[0] ?? {}, {
        text: 'a "quoted"\\ \t line\r\nand 狗 🐶 שלום',
        label: "\\N",
        prompt: "",
        created_at: "2026-01-02T03:04:05.678901+02:00",
      });
      Object.assign(images[3] ?? {}, { caption: null, source: "=1+1" });
      Object.assign(activations[0] ?? {}, { positions: new Uint8Array(0), values: new Uint8Array(0), peak: 0, mean: 0 });
    },
  });
  const refs = ["test-model/model.layers.1", "test-model/model.layers.2"].map((ref) => ({ ref }));
  const folder = path.join(catalog.folder, "exported");
  await withExport(catalog.db, refs, (source) => writeBundle(source, folder));
  const result = await importBundle(other.db, folder);
  expect(result.dictionaries.map((one) => one.outcome)).toEqual(["added", "added"]);

  const [before, after] = [await everything(catalog.db), await everything(other.db)];
  for (const [name, rows] of Object.entries(before)) {
    expect(rows.length, name).toBeGreaterThan(0);
    expect(after[name], name).toEqual(rows);
  }
  expect(await storedImages(other.db.imagesDir)).toEqual(await storedImages(catalog.db.imagesDir));

  // Once more from there: the same files but for the date.
  const again = path.join(catalog.folder, "again");
  await withExport(other.db, refs, (source) => writeBundle(source, again));
  const filesOf = async (at: string) => Object.entries(JSON.parse(await readFile(path.join(at, "manifest.json"), "utf8")).files);
  // Texts go by the database's own numbers.
  const kept = (files: [string, unknown][]) => files.filter(([name]) => !/texts|activations|images/.test(name));
  expect(kept(await filesOf(again))).toEqual(kept(await filesOf(folder)));
}, 400_000);

/** A catalogue of what `fill` puts into it, exported and imported into an empty one: both hold the same. */
async function comesBack(fill: (from: TestCatalog) => Promise<void>, names: string[]): Promise<void> {
  const [from, to] = [await openTestCatalog(), await openTestCatalog()];
  try {
    await fill(from);
    const dictionaries = await from.db.rows<{ ref: string; sha256: string; version: string }>(
      "SELECT ref, sha256, version FROM dictionary ORDER BY imported_at, id",
    );
    for (const [i, { ref, sha256, version }] of dictionaries.entries()) {
      const folder = path.join(from.folder, `out-${i}`);
      await withExport(from.db, [{ ref, version: version.slice(0, 12) }], (source) => writeBundle(source, folder));
      expect((await importBundle(to.db, folder)).dictionaries).toMatchObject([{ ref, sha256, version, outcome: "added" }]);
      // Where it came from it is there already.
      expect((await importBundle(from.db, folder)).dictionaries).toMatchObject([{ ref, version, outcome: "unchanged" }]);
    }
    const [before, after] = [await everything(from.db), await everything(to.db)];
    for (const name of names) expect(before[name]?.length, name).toBeGreaterThan(0);
    expect(after).toEqual(before);
    expect((await locateDictionary(to.db, dictionaries.at(-1)?.ref ?? "")).dictionary.version).toBe(dictionaries.at(-1)?.version);
  } finally {
    await from.close();
    await to.close();
  }
}

it("is what was imported, of versions beside each other", async () => {
  await comesBack(
    async (from) => {
      await from.add({ features: 20, images: 12, version: "1" });
      await from.add({ features: 20, images: 12, version: "1", remark: " once more" });
      await from.add({
        features: 20,
        images: 12,
        version: "2",
        edit: ({ features = [], explanations = [], neighbours = [] }) => {
          Object.assign(features[4] ?? {}, { density: null, max_activation: null, mean_activation: null });
          // Two of one method: the scores are the first one's.
          explanations.push({ ...explanations[0], author: "another", preferred: false });
          neighbours.push({ index: 0, kind: "coactive", rank: 0, neighbour: 3, value: 0.125 });
        },
      });
    },
    ["image", "score", "histogram", "neighbour"],
  );
}, 120_000);

it("is what was imported, of weights of another tool whose rows have any length", async () => {
  const at = path.resolve("lib/formats/dictionaries/fixtures/gemma-scope-2/resid_post/layer_17_width_16k_l0_medium");
  const { weights } = await readOne(at);
  const lengths = Array.from({ length: 8 }, (_, i) => i).map(async (i) => Math.hypot(...(await weights.decoderRows(i, i + 1))));
  expect((await Promise.all(lengths)).some((length) => Math.abs(length - 1) > 0.01)).toBe(true);
  const fill = async (from: TestCatalog) => void (await importSource(from.db, await openSource([at], { model: "a-model" })));
  await comesBack(fill, ["feature", "neighbour"]);
}, 60_000);

it("is what was imported, of features over texts and explanations that failed", async () => {
  const data = path.resolve("lib/formats/data/fixtures");
  const fill = async (from: TestCatalog) => {
    await importSource(from.db, await openSource([path.join(data, "neuronpedia")]));
    await importSource(from.db, await openSource([path.join(data, "delphi")], { model: "pythia" }));
  };
  await comesBack(fill, ["text", "activation", "explanation", "token"]);
}, 60_000);

it("is imported as another content once somebody has changed it", async () => {
  const folder = path.join(catalog.folder, "edited");
  await withExport(catalog.db, [{ ref: "test-model/model.layers.1" }], (source) => writeBundle(source, folder));
  const origin = async () => (await bundleSource(folder)).dictionaries[0]?.content;
  const before = await origin();
  const file = path.join(folder, "manifest.json");
  const manifest = JSON.parse(await readFile(file, "utf8"));
  expect(manifest.dictionaries[0].origin.content).toBe(before);
  manifest.files["model.layers.1/explanations.parquet"].sha256 = "0".repeat(64);
  await writeFile(file, JSON.stringify(manifest));
  expect(await origin()).not.toBe(before);
}, 60_000);

it("leaves a folder alone that holds something", async () => {
  const folder = path.join(catalog.folder, "mine");
  await mkdir(folder);
  await writeFile(path.join(folder, "letter.txt"), "mine");
  const refused = withExport(catalog.db, [{ ref: "test-model/model.layers.1" }], (source) => writeBundle(source, folder));
  await expect(refused).rejects.toMatchObject({ code: "invalid_request", message: expect.stringContaining("not empty") });
  expect(await readFile(path.join(folder, "letter.txt"), "utf8")).toBe("mine");
});
