import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { activationColumns, explanationColumns, featureColumns, textColumns } from "./bundle";
import { combine } from "./combine";
import { openSource } from "./readers";
import { type DictionaryWeights, type FeatureRow, madeTable, type Part, unmeasured } from "./source";

const sha256 = "a".repeat(64);

function weights(hook: string | null, path = "sae.safetensors"): Part {
  const made = { hook, layer: 3, num_latents: 6, width: 4, activation: "topk", k: 2, sha256 } as DictionaryWeights;
  return { kind: "weights", format: "sparsify", found: "Weights.", path, content: path, tables: {}, weights: made };
}

function tables(path: string, more: Partial<Extract<Part, { kind: "tables" }>>): Part {
  return { kind: "tables", format: "paper", found: `${path}.`, path, content: path, hook: null, num_latents: null, tables: {}, ...more };
}

const features = (file: string, rows: Partial<FeatureRow>[]) => ({
  features: madeTable<typeof featureColumns>(file, rows.length, () => rows.map((row) => ({ ...unmeasured(row.index ?? 0), ...row }))),
});

async function rowsOf<T>(table: { batches(): AsyncIterable<T[]> } | undefined): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of table?.batches() ?? []) all.push(...batch);
  return all;
}

describe("parts", () => {
  it("become one dictionary, each column from the first that measured it, the rest null", async () => {
    const source = combine(
      [
        weights("model.layers.3"),
        tables("a.json", {
          tables: features("a.json", [
            { index: 1, density: 0.25 },
            { index: 4, dead: true },
          ]),
        }),
        tables("b.json", { tables: features("b.json", [{ index: 1, density: 0.5, images: 7 }]) }),
      ],
      { model: "org/a model" },
    );
    const [dictionary] = source.dictionaries;
    expect(source.model).toMatchObject({ id: "org-a-model", name: "org/a model", sha256: null, grid: null });
    expect(dictionary?.entry).toMatchObject({
      id: "model.layers.3",
      sha256,
      num_latents: 6,
      width: 4,
      activation: "topk",
      k: 2,
      images: 0,
    });
    expect(dictionary?.entry.metrics.fvu).toBeNull();
    const rows = await rowsOf(dictionary?.tables.features);
    expect(rows.map((row) => row.index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rows[1]).toEqual({ ...unmeasured(1), density: 0.25, images: 7 });
    expect(rows[4]).toEqual({ ...unmeasured(4), dead: true });
    expect(rows[5]).toEqual(unmeasured(5));
  });

  it("keep their texts apart, whose numbers are each part's own", async () => {
    const text = (word: string) => madeTable<typeof textColumns>("texts", 1, () => [{ id: 0, tokens: [word], image: null }]);
    const example = madeTable<typeof activationColumns>("activations", 1, () => [
      {
        index: 0,
        band: "text",
        rank: 0,
        image: null,
        text: 0,
        rows: 1,
        cols: 1,
        peak: 1,
        mean: 1,
        positions: new Uint8Array(2),
        values: new Uint8Array(2),
      },
    ]);
    const part = (path: string) => tables(path, { texts: text(path), tables: { activations: example } });
    const source = combine([weights("model.layers.3"), part("a"), part("b")], { model: "m" });
    const texts = await rowsOf(source.texts);
    const named = (await rowsOf(source.dictionaries[0]?.tables.activations)).map((row) => texts.find((one) => one.id === row.text)?.tokens);
    expect(named).toEqual([["a"], ["b"]]);
  });

  it("of several hooks become several dictionaries", () => {
    const source = combine([weights("model.layers.3", "3"), weights("model.layers.5", "5")], { model: "m" });
    expect(source.dictionaries.map(({ entry }) => entry.id)).toEqual(["model.layers.3", "model.layers.5"]);
  });

  const explained = (file: string, rows: [index: number, text: string, preferred?: boolean][]) =>
    tables(file, {
      tables: {
        explanations: madeTable<typeof explanationColumns>(file, rows.length, () =>
          rows.map(([index, text, preferred = true]) => ({
            index,
            method: file,
            author: "someone",
            text,
            label: null,
            concept: null,
            failure: null,
            prompt: null,
            created_at: "2026-01-01",
            preferred,
          })),
        ),
      },
    });

  it("keep each file's explanations; of a feature that several explain the first file's is the label", async () => {
    const read = (parts: Part[]) =>
      rowsOf(combine([weights("model.layers.3"), ...parts], { model: "m" }).dictionaries[0]?.tables.explanations);
    const rows = await read([
      explained("a.json", [
        [1, "dogs"],
        [2, "red", false],
      ]),
      explained("b.json", [
        [1, "animals"],
        [2, "colours"],
        [5, "cats"],
      ]),
    ]);
    expect(rows.filter((row) => row.preferred).map((row) => row.text)).toEqual(["dogs", "colours", "cats"]);
    expect(rows).toHaveLength(5);
    const twice = explained("c.json", [
      [4, "one"],
      [4, "two"],
    ]);
    await expect(read([explained("a.json", []), twice])).rejects.toMatchObject({
      code: "file_invalid",
      message: "c.json: feature 4 has more than one preferred explanation.",
    });
  });

  it("without a hook are of the one that is said, however it is spelled", () => {
    const source = combine([weights(null), tables("x", { hook: "model.layers.3" })], { model: "m", hook: "blocks.3.hook_resid_post" });
    expect(source.dictionaries.map(({ entry }) => [entry.id, entry.hook, entry.layer])).toEqual([["model.layers.3", "model.layers.3", 3]]);
    expect(source.found.at(-1)).toBe("The hook blocks.3.hook_resid_post is model.layers.3: what the block puts out, counted from 0.");
    const kept = combine([weights(null)], { model: "m", hook: "vision_tower.layers.2" });
    expect(kept.dictionaries[0]?.entry.hook).toBe("vision_tower.layers.2");
    expect(kept.found).toHaveLength(1);
  });

  it("without weights are known by name, the same each time", () => {
    const made = () => combine([tables("n.jsonl", { hook: "model.layers.3", num_latents: 9 })], { model: "m" }).dictionaries[0]?.entry;
    expect(made()).toMatchObject({ num_latents: 9, width: null, activation: "unknown" });
    expect(made()?.sha256).toBe(made()?.sha256);
  });

  const refused: [what: string, parts: () => Part[], options: object, says: RegExp][] = [
    ["no model", () => [weights("model.layers.3")], {}, /nothing says which model/],
    ["no hook", () => [weights(null)], { model: "m" }, /nothing says which hook/],
    [
      "a part that may be of two",
      () => [weights("a.1", "1"), weights("a.2", "2"), tables("x", {})],
      { model: "m" },
      /x: nothing says which of a\.1, a\.2/,
    ],
    ["the same hook's weights twice", () => [weights("a.1", "1"), weights("a.1", "2")], { model: "m" }, /1 and 2 are each the weights/],
    ["no size", () => [tables("x", { hook: "a.1" })], { model: "m" }, /how many features/],
    ["one name for two", () => [weights("a.1", "1"), weights("a.2", "2")], { model: "m", name: "n" }, /--name names one/],
    [
      "two models",
      () => [weights("a.1"), tables("x", { model: { id: "p", name: "P" } }), tables("y", { model: { id: "q", name: "Q" } })],
      {},
      /two models, p and q/,
    ],
    [
      "other weights for --into",
      () => [weights("a.1")],
      { model: "m", into: { ref: "m/a.1", sha256: "b".repeat(64), num_latents: 6 } },
      /not the weights of m\/a\.1/,
    ],
  ];
  it.each(refused)("are refused with %s", (_, parts, options, says) => {
    expect(() => combine(parts(), options)).toThrow(says);
  });

  it("are refused while they are read where features are out of order or out of range", async () => {
    const read = (indices: number[]) =>
      rowsOf(
        combine(
          [
            weights("a.1"),
            tables("x", {
              tables: features(
                "x",
                indices.map((index) => ({ index })),
              ),
            }),
          ],
          { model: "m" },
        ).dictionaries[0]?.tables.features,
      );
    await expect(read([2, 2])).rejects.toThrow(/x: feature 2 comes after feature 2/);
    await expect(read([6])).rejects.toThrow(/x speaks of feature 6; the dictionary has the features 0 to 5/);
  });
});

it("says that a path is not there, or of no known format", async () => {
  await expect(openSource(["no/such/file"])).rejects.toMatchObject({
    code: "file_invalid",
    message: expect.stringContaining("no/such/file is not there"),
  });
  await expect(openSource(["package.json"])).rejects.toMatchObject({
    code: "format_unknown",
    message: expect.stringContaining("package.json"),
  });
});

it("says that a file is empty, and which of the paths nothing reads", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "facet-paths-"));
  try {
    const empty = path.join(folder, "iou.json");
    await writeFile(empty, "");
    await expect(openSource([empty])).rejects.toMatchObject({ code: "file_invalid", message: `${empty} is empty: it has 0 bytes.` });

    const fixtures = path.join(import.meta.dirname, "data", "fixtures");
    const [cache = "", pictures = "", words = ""] = ["paper/cache", "images", "paper/explanations"].map((name) =>
      path.join(fixtures, name),
    );
    const unread = async (paths: string[]) =>
      (await openSource(paths, { model: "m", grid: "4x4", into: { ref: "m/d", sha256: "a".repeat(64), num_latents: 40 } })).found.filter(
        (sentence) => sentence.includes("nothing here reads"),
      );
    expect(await unread([words, pictures])).toEqual([`${pictures}: 12 images, which nothing here reads: only an activation cache does.`]);
    expect(await unread([words, cache, pictures])).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
