import { appendFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { featureColumns } from "@/lib/formats/bundle";
import { listDictionaries, locateDictionary, locateVersion, locateWeights } from "./dictionaries";
import { dropDictionary } from "./drop-dictionary";
import { withExport } from "./export-source";
import { findFeature } from "./feature-detail";
import { featurePage } from "./feature-list";
import { storedImages } from "./image-files";
import { importBundle } from "./import-bundle";
import type { ImportResult } from "./import-source";
import { parquetBytes, resealFile, type TestBundleOptions, writeTestBundle } from "./test-bundle";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

const ref = "test-model/model.layers.1";
const tables = [
  "feature",
  "search_document",
  "histogram",
  "activation",
  "explanation",
  "score",
  "neighbour",
  "feature_token",
  "image",
  "text_sequence",
];
let catalog: TestCatalog;

beforeAll(async () => {
  catalog = await openTestCatalog();
}, 120_000);
afterAll(() => catalog?.close());

async function counts(): Promise<Record<string, number>> {
  const rows = await catalog.db.rows<Record<string, number>>(
    `SELECT ${[...tables, "dictionary", "model"].map((table) => `(SELECT count(*)::int FROM ${table}) AS ${table}`).join(", ")}`,
  );
  return rows[0] ?? {};
}

/** A bundle in a folder of its own, not imported. */
async function write(options: TestBundleOptions = {}): Promise<string> {
  const folder = await mkdtemp(path.join(catalog.folder, "case-"));
  await writeTestBundle(folder, { features: 30, images: 12, ...options });
  return folder;
}

describe("refused bundles", () => {
  const cases: [what: string, spoil: (folder: string) => Promise<unknown>, says: RegExp][] = [
    ["no manifest", (folder) => rm(path.join(folder, "manifest.json")), /no readable manifest\.json/],
    ["a manifest that is not JSON", (folder) => writeFile(path.join(folder, "manifest.json"), "{"), /not JSON/],
    ["a missing file", (folder) => rm(path.join(folder, "texts.parquet")), /texts\.parquet is missing/],
    ["a zero-byte file", (folder) => truncate(path.join(folder, "model.layers.1/scores.parquet"), 0), /scores\.parquet has 0 bytes/],
    ["a truncated file", (folder) => truncate(path.join(folder, "images.parquet"), 900), /images\.parquet has 900 bytes/],
    [
      "one changed byte",
      async (folder) => {
        const file = path.join(folder, "model.layers.1/activations.parquet");
        const bytes = await readFile(file);
        bytes[500] = (bytes[500] ?? 0) ^ 1;
        await writeFile(file, bytes);
      },
      /activations\.parquet is damaged/,
    ],
    [
      "a file that is no Parquet",
      async (folder) => {
        await writeFile(path.join(folder, "model.layers.1/tokens.parquet"), "not parquet at all");
        await resealFile(folder, "model.layers.1/tokens.parquet");
      },
      /tokens\.parquet is not a complete Parquet file/,
    ],
    [
      "a missing column",
      async (folder) => {
        const { density, ...rest } = featureColumns;
        const rows = Array.from({ length: 30 }, (_, index) => ({
          index,
          images: 0,
          active_tokens: 0,
          dead: true,
          always_on: false,
          sink: false,
        }));
        await writeFile(path.join(folder, "model.layers.1/features.parquet"), parquetBytes(rest, rows));
        await resealFile(folder, "model.layers.1/features.parquet");
      },
      /features\.parquet lacks the column density/,
    ],
  ];

  it.each(cases)("%s", async (_, spoil, says) => {
    const folder = await write();
    await spoil(folder);
    await expect(importBundle(catalog.db, folder)).rejects.toMatchObject({ code: "bundle_invalid", message: expect.stringMatching(says) });
  });

  const edits: [what: string, edit: TestBundleOptions["edit"], says: RegExp][] = [
    ["an index out of range", ({ scores = [] }) => Object.assign(scores[0] ?? {}, { index: 30 }), /scores\.parquet: column index holds 30/],
    [
      "an index twice",
      ({ features = [] }) => Object.assign(features[3] ?? {}, { index: 4 }),
      /features\.parquet: every index .* 29 of them/,
    ],
    ["an unknown band", ({ activations = [] }) => Object.assign(activations[0] ?? {}, { band: "best" }), /band is unknown/],
    [
      "an unknown image",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { image: "a".repeat(64) }),
      /which the bundle lacks/,
    ],
    ["a wrong image hash", ({ images = [] }) => Object.assign(images[0] ?? {}, { bytes: Buffer.from("x") }), /do not have the hash/],
    [
      "a map with unequal halves",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { values: new Uint8Array(2) }),
      /they must be equal and even/,
    ],
    [
      "a position outside the grid",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { positions: Uint8Array.of(255, 0), values: new Uint8Array(2) }),
      /position 255 lies outside/,
    ],
    ["an unknown concept", ({ explanations = [] }) => Object.assign(explanations[0] ?? {}, { concept: "mood" }), /unknown concept "mood"/],
    [
      "no text and no failure",
      ({ explanations = [] }) => Object.assign(explanations[0] ?? {}, { text: null }),
      /either a text or a failure/,
    ],
    [
      "two preferred",
      ({ explanations = [] }) => Object.assign(explanations[1] ?? {}, { preferred: true, text: "again", failure: null }),
      /more than one preferred/,
    ],
    ["a score of nothing", ({ scores = [] }) => Object.assign(scores[0] ?? {}, { explanation: "guess" }), /explanation "guess"/],
    ["an image twice", ({ images = [] }) => images.push({ ...images[0] }), /images\.parquet holds the image \w+ twice/],
    ["an image that is a page", ({ images = [] }) => Object.assign(images[0] ?? {}, { mime: "text/html" }), /is text\/html of 192 × 192/],
    ["an image without a size", ({ images = [] }) => Object.assign(images[0] ?? {}, { width: 0 }), /of 0 × 192 pixels/],
    ["a text twice", ({ texts = [] }) => Object.assign(texts[1] ?? {}, { id: 0 }), /texts\.parquet holds the text 0 twice/],
    [
      "an unknown image before a text",
      ({ texts = [] }) => Object.assign(texts[1] ?? {}, { image: "b".repeat(64) }),
      /which images\.parquet lacks/,
    ],
    ["a text under an image's example", ({ activations = [] }) => Object.assign(activations[0] ?? {}, { text: 0 }), /names a text/],
    [
      "an image under a text's example",
      ({ activations = [] }) => {
        const text = activations.find((row) => row.band === "text");
        Object.assign(text ?? {}, { image: activations[0]?.image });
      },
      /names an image; its text/,
    ],
    [
      "a text's map of another length",
      ({ activations = [] }) => {
        const text = activations.find((row) => row.band === "text");
        Object.assign(text ?? {}, { cols: 5 });
      },
      /1 × 5 lies over a text of 4 tokens/,
    ],
    [
      "a grid turned inside out",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { rows: -12, cols: -12 }),
      /no grid of -12 × -12/,
    ],
    [
      "an activation that is infinite",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { positions: Uint8Array.of(3, 0), values: Uint8Array.of(0, 0x7c) }),
      /the activation at position 3 is not a finite number/,
    ],
    [
      "an activation that is no number",
      ({ activations = [] }) => Object.assign(activations[0] ?? {}, { positions: Uint8Array.of(3, 0), values: Uint8Array.of(1, 0xfe) }),
      /the activation at position 3 is not a finite number/,
    ],
    [
      "a metric that is no number",
      ({ features = [] }) => Object.assign(features[2] ?? {}, { density: Number.NaN }),
      /column density, row 2, holds number NaN/,
    ],
    [
      "a score that is infinite",
      ({ scores = [] }) => Object.assign(scores[0] ?? {}, { value: Number.POSITIVE_INFINITY }),
      /column value, row 0, holds number Infinity/,
    ],
    [
      "a histogram of other bins",
      ({ features = [] }) => Object.assign(features[0] ?? {}, { hist_counts: [1, 2, 3] }),
      /hist_counts of feature 0 must be 32 counts/,
    ],
    ["a neighbour out of range", ({ neighbours = [] }) => Object.assign(neighbours[0] ?? {}, { neighbour: -1 }), /column index holds -1/],
    ["a number too large for its column", ({ scores = [] }) => Object.assign(scores[0] ?? {}, { n: 2 ** 40 }), /cannot be stored/],
    ["a feature too few", ({ features = [] }) => features.pop(), /features\.parquet has 29 rows; the dictionary has 30/],
    ["the same example twice", ({ activations = [] }) => activations.push({ ...activations[0] }), /same key/],
    [
      "nothing where a number is needed",
      ({ features = [] }) => Object.assign(features[0] ?? {}, { index: null }),
      /column index, row 0, holds nothing/,
    ],
  ];

  it.each(edits)("%s", async (_, edit, says) => {
    const folder = await write({ edit });
    await expect(importBundle(catalog.db, folder)).rejects.toMatchObject({ code: "bundle_invalid", message: expect.stringMatching(says) });
  });

  it("leave nothing behind", async () => {
    expect(Object.values(await counts()).reduce((sum, n) => sum + n, 0)).toBe(0);
    expect((await storedImages(catalog.db.imagesDir)).size).toBe(0);
    const partitions = await catalog.db.rows("SELECT relname FROM pg_class WHERE relname ~ '_d[0-9]+$'");
    expect(partitions).toEqual([]);
  });
});

describe("importing", () => {
  let bundle: string;
  let first: ImportResult;
  let before: Record<string, number>;

  it("adds a dictionary", async () => {
    bundle = await write();
    first = await importBundle(catalog.db, bundle);
    expect(first).toMatchObject({ dictionaries: [{ ref, outcome: "added" }], images: 12 });
    before = await counts();
    expect(before).toMatchObject({ feature: 30, dictionary: 1, image: 12, text_sequence: 5 });
  });

  it("changes nothing the second time", async () => {
    const rows = () => catalog.db.rows("SELECT id, imported_at::text, histograms FROM dictionary");
    const kept = await rows();
    expect(await importBundle(catalog.db, bundle)).toEqual({
      dictionaries: [{ ...first.dictionaries[0], outcome: "unchanged" }],
      images: 0,
      rows: 0,
    });
    expect(await counts()).toEqual(before);
    expect(await rows()).toEqual(kept);
  });

  it("stops when told to, with the catalogue as it was", async () => {
    const other = await write({ version: "9" });
    const stop = new AbortController();
    const importing = importBundle(catalog.db, other, {
      signal: stop.signal,
      onProgress: ({ stage }) => stage === "activations" && stop.abort(),
    });
    await expect(importing).rejects.toMatchObject({ code: "cancelled" });
    expect(await counts()).toEqual(before);
  });

  it("puts other content of the same weights beside the old, and the pinned link of each shows its own", async () => {
    const weights = first.dictionaries[0]?.sha256 ?? "";
    expect(first.dictionaries[0]).toMatchObject({ version: weights, beside: [] });
    const changed = await write({ remark: " and nothing else" });
    const [newer] = (await importBundle(catalog.db, changed)).dictionaries;
    expect(newer).toMatchObject({ ref, sha256: weights, outcome: "added", beside: [weights] });
    const version = newer?.version ?? "";
    expect(version).not.toBe(weights);
    expect(await counts()).toMatchObject({ feature: 60, dictionary: 2, model: 1, image: 12 });

    const textAt = async (v?: string) => (await findFeature(catalog.db, ref, 0, v)).explanations[0]?.text;
    expect(await textAt()).toContain("and nothing else");
    expect(await textAt(version.slice(0, 12))).toContain("and nothing else");
    expect(await textAt(weights.slice(0, 12))).not.toContain("and nothing else");
    const detail = await findFeature(catalog.db, ref, 0);
    expect(detail.dictionary).toMatchObject({ sha256: weights, version, versions: [version, weights] });
    expect((await listDictionaries(catalog.db)).map((one) => [one.version, one.versions])).toEqual([[version, [version, weights]]]);

    // An engine is asked for weights: of these it runs with what pages show.
    const { id } = await locateDictionary(catalog.db, ref, version);
    expect((await locateWeights(catalog.db, ref, weights.slice(0, 12))).id).toBe(id);

    // Either of them again changes nothing.
    const now = await counts();
    for (const bundle of [changed, await write()]) expect((await importBundle(catalog.db, bundle)).rows).toBe(0);
    expect(await counts()).toEqual(now);

    // In a catalogue that never had the first, the same link names the same rows.
    const other = await openTestCatalog();
    try {
      expect((await importBundle(other.db, changed)).dictionaries[0]).toMatchObject({ version: weights, beside: [] });
      expect((await findFeature(other.db, ref, 0, version.slice(0, 12))).explanations[0]?.text).toContain("and nothing else");
    } finally {
      await other.close();
    }
    // And here a link that names the weights alone still opens when their first content has gone.
    await dropDictionary(catalog.db, ref, weights.slice(0, 12));
    expect(await textAt(weights.slice(0, 12))).toContain("and nothing else");
    // But commands take what they name and no other: said again, a drop does not take the version that is left.
    const gone = { code: "version_mismatch", message: expect.stringContaining(`it has ${version.slice(0, 12)}.`) };
    await expect(dropDictionary(catalog.db, ref, weights.slice(0, 12))).rejects.toMatchObject(gone);
    await expect(withExport(catalog.db, [{ ref, version: weights.slice(0, 12) }], async () => null)).rejects.toMatchObject(gone);
    expect((await locateVersion(catalog.db, ref, version.slice(0, 12))).dictionary.version).toBe(version);
    expect((await importBundle(catalog.db, await write())).dictionaries[0]).toMatchObject({ outcome: "added", beside: [version] });
    await dropDictionary(catalog.db, ref, version);
    expect(await counts()).toEqual(before);
  });

  it("puts other weights beside the old, and both can be named", async () => {
    const result = await importBundle(catalog.db, await write({ version: "2" }));
    const newer = result.dictionaries[0]?.sha256 ?? "";
    const older = first.dictionaries[0]?.sha256 ?? "";
    expect(result.dictionaries[0]?.outcome).toBe("added");
    const listed = await listDictionaries(catalog.db);
    expect(listed.map((dictionary) => dictionary.sha256)).toEqual([newer]);
    expect((await findFeature(catalog.db, ref, 0)).dictionary.sha256).toBe(newer);
    expect((await findFeature(catalog.db, ref, 0, older.slice(0, 12))).dictionary.sha256).toBe(older);
    await expect(findFeature(catalog.db, ref, 0, "000000000000")).rejects.toMatchObject({ code: "version_mismatch" });
    const { id } = await locateDictionary(catalog.db, ref, older.slice(0, 12));
    expect((await featurePage(catalog.db, id, parseFeatureQuery({ dictionary: ref }), null)).total).toBe(30);
  });

  it("names rows that it cannot read in a file that grew", async () => {
    const folder = await write({ version: "3" });
    await appendFile(path.join(folder, "images.parquet"), "tail");
    await expect(importBundle(catalog.db, folder)).rejects.toMatchObject({ code: "bundle_invalid" });
  });
});
