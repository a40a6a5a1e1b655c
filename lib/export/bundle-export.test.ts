/** import(export(x)) = x, value by value. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Database } from "@/lib/catalog/db";
import { withExport } from "@/lib/catalog/export-source";
import { storedImages } from "@/lib/catalog/image-files";
import { importBundle } from "@/lib/catalog/import-bundle";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { writeBundle } from "@/lib/formats/bundle-write";

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
    dictionary: "SELECT to_jsonb(t) - '{id,model_id,content_sha256,imported_at}'::text[] AS row FROM dictionary t ORDER BY ref",
    image: "SELECT sha256, mime, width, height, bytes, source, caption FROM image ORDER BY sha256",
    text: `SELECT sha256, tokens, ${image("image_id")} FROM text_sequence ORDER BY sha256`,
    feature: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM feature t ORDER BY 1, index`,
    histogram: `SELECT ${d}, index, to_jsonb(counts) FROM histogram t ORDER BY 1, index`,
    activation: `SELECT ${d}, index, band, rank, ${image("t.image_id")}, (SELECT sha256 FROM text_sequence WHERE id = t.text_id) AS text, rows, cols, peak,
      mean, map_positions, map_values FROM activation t ORDER BY 1, index, band, rank`,
    explanation: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM explanation t ORDER BY 1, id`,
    score: `SELECT ${d}, to_jsonb(t) - 'dictionary_id' AS row FROM score t ORDER BY 1, explanation_id, metric`,
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

it("leaves a folder alone that holds something", async () => {
  const folder = path.join(catalog.folder, "mine");
  await mkdir(folder);
  await writeFile(path.join(folder, "letter.txt"), "mine");
  const refused = withExport(catalog.db, [{ ref: "test-model/model.layers.1" }], (source) => writeBundle(source, folder));
  await expect(refused).rejects.toMatchObject({ code: "invalid_request", message: expect.stringContaining("not empty") });
  expect(await readFile(path.join(folder, "letter.txt"), "utf8")).toBe("mine");
});
