/** Caches that the other tools' own packages wrote, against the numbers that those packages read back (worker/make_fixtures/data.py). */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeBytes } from "@/lib/core/sparse-map";
import { sharp } from "@/lib/sharp";
import type { Part } from "../source";
import { csrCacheReader } from "./csr-cache";
import { openImageSet, readyImages } from "./image-set";
import { safetensorsCacheReader } from "./safetensors-cache";
import { rowsOf } from "./test-rows";

const fixtures = path.join(import.meta.dirname, "fixtures");
type TablesPart = Extract<Part, { kind: "tables" }>;

interface Statistics {
  count: number;
  max: number;
  mean: number;
  density: number;
  images: number;
  top: number[];
  means: number[];
}
let expected: {
  delphi: {
    latents: number;
    texts: number;
    length: number;
    tokens: string[][];
    features: Record<string, Statistics & { peaks: number[]; map: { positions: number[]; values: number[] } }>;
  };
  paper: { images: number; side: number; latents: number; features: Record<string, Statistics> };
  saev: { images: number; side: number; latents: number; features: Record<string, Statistics> };
  images: { pictures: { size: [number, number]; corner: number[]; source: string }[] };
};
beforeAll(async () => {
  expected = JSON.parse(await readFile(path.join(fixtures, "expected.json"), "utf8"));
});

const only = (parts: Part[]) => {
  expect(parts).toHaveLength(1);
  return parts[0] as TablesPart;
};

/** Hash of every picture of the set, in its order. */
async function hashes(): Promise<string[]> {
  const set = await openImageSet(path.join(fixtures, "images"));
  const found: string[] = [];
  if (set)
    for await (const image of readyImages(
      set,
      Array.from({ length: set.length }, (_, i) => i),
    ))
      found.push(image.sha256);
  return found;
}

async function checkOverImages(part: TablesPart, wanted: (typeof expected)["paper"], lost: (index: number) => boolean) {
  const { side, images } = wanted;
  const hash = await hashes();
  const features = new Map((await rowsOf(part.tables.features)).map((row) => [row.index, row]));
  const activations = await rowsOf(part.tables.activations);
  for (const [key, one] of Object.entries(wanted.features)) {
    const index = Number(key);
    const row = features.get(index);
    if (lost(index)) {
      expect(row, `feature ${index}`).toBeUndefined();
      continue;
    }
    expect(row, `feature ${index}`).toMatchObject({
      images: one.images,
      active_tokens: one.count,
      dead: one.count === 0,
      text_density: null,
      image_share: null,
    });
    expect(row?.density).toBeCloseTo(one.density, 12);
    expect(row?.max_activation).toBeCloseTo(one.max, 5);
    expect(row?.mean_activation).toBeCloseTo(one.mean, 5);
    expect(row?.hist_counts?.reduce((sum, count) => sum + count, 0) ?? 0).toBe(one.count);
    const top = activations.filter((example) => example.index === index && example.band === "top").sort((a, b) => a.rank - b.rank);
    expect(top.map((example) => example.image)).toEqual(one.top.map((item) => hash[item]));
    for (const [i, example] of top.entries()) {
      expect(example.mean).toBeCloseTo(one.means[i] as number, 5);
      expect([example.rows, example.cols]).toEqual([side, side]);
      const map = decodeBytes(example.positions, example.values);
      const sum = map.values.reduce((total, value) => total + value, 0);
      expect(sum / (side * side)).toBeCloseTo(one.means[i] as number, 2);
      expect(Math.max(...map.values)).toBeCloseTo(example.peak, 1);
    }
  }
  expect(part.measured).toEqual({ images, image_tokens: images * side * side, text_tokens: null });
  const shown = await rowsOf(part.images);
  expect(new Set(shown.map((image) => image.sha256))).toEqual(new Set(activations.map((example) => example.image)));
}

describe("delphi's cache", () => {
  it("gives the statistics, texts and maps that delphi reads", async () => {
    const at = path.join(fixtures, "delphi/latents");
    expect(await safetensorsCacheReader.recognise(at)).toMatchObject({ found: expect.stringContaining("layers.5") });
    const part = only(await safetensorsCacheReader.read(at, {}));
    expect(part).toMatchObject({ hook: "model.layers.5", num_latents: 48, model: { id: "example-model", name: "example/model" } });
    const features = await rowsOf(part.tables.features);
    const activations = await rowsOf(part.tables.activations);
    const texts = new Map((await rowsOf(part.texts)).map((text) => [text.id, text.tokens]));
    expect(features.map((row) => row.index)).toEqual(Array.from({ length: 48 }, (_, i) => i));
    for (const row of features) {
      const one = expected.delphi.features[row.index];
      expect(row.dead, `latent ${row.index}`).toBe(one === undefined);
      if (!one) continue;
      expect(row.text_density).toBeCloseTo(one.density, 12);
      expect(row.density).toBeNull();
      expect(row.max_activation).toBeCloseTo(one.max, 5);
      expect(row.mean_activation).toBeCloseTo(one.mean, 5);
      expect(row.hist_counts?.reduce((sum, count) => sum + count, 0)).toBe(one.count);
      const mine = activations.filter((example) => example.index === row.index);
      expect(mine.map((example) => example.text)).toEqual(one.top);
      expect(mine.map((example) => example.peak)).toEqual(one.peaks);
      const map = decodeBytes(mine[0]?.positions as Uint8Array, mine[0]?.values as Uint8Array);
      expect([...map.positions]).toEqual(one.map.positions);
      expect([...map.values]).toEqual(one.map.values);
      for (const example of mine) expect(texts.get(example.text as number)).toEqual(expected.delphi.tokens[example.text as number]);
    }
  });
});

describe("the paper's cache", () => {
  const at = path.join(fixtures, "paper/cache/model.layers.24");
  it("gives statistics over the base tokens, and examples on the image set's pictures", async () => {
    const images = path.join(fixtures, "images");
    const part = only(await safetensorsCacheReader.read(at, { paths: [at, images], grid: "4x4" }));
    expect(part).toMatchObject({ hook: "model.layers.24", num_latents: 40, grid: { rows: 4, cols: 4 } });
    // What its writer leaves out of each file is not known to be dead: it is not known.
    await checkOverImages(part, expected.paper, (index) => index === 19 || index === 39);
    expect(part.found).toContain("beyond the 16 base tokens");
    expect(part.found).toContain("1 picture turned as its EXIF says");
  });

  it("asks for the grid where it cannot be 24 × 24, and for the images where there are none", async () => {
    await expect(safetensorsCacheReader.read(at, {})).rejects.toMatchObject({
      code: "file_invalid",
      fix: expect.stringContaining("--grid"),
    });
    const part = only(await safetensorsCacheReader.read(at, { grid: "4x4" }));
    expect(part.tables.activations?.rows).toBe(0);
    expect(part.found).toContain("Without the image set");
  });
});

describe("saev's matrix", () => {
  it("gives what scipy reads, with the grid that the image set implies", async () => {
    const at = path.join(fixtures, "saev/token_acts.npz");
    expect(await csrCacheReader.recognise(at)).not.toBeNull();
    const part = only(await csrCacheReader.read(at, { paths: [at, path.join(fixtures, "images")] }));
    expect(part).toMatchObject({ hook: null, num_latents: 24, grid: { rows: 3, cols: 3 } });
    await checkOverImages(part, expected.saev, () => false);
    await expect(csrCacheReader.read(at, {})).rejects.toMatchObject({ fix: expect.stringContaining("--grid") });
    await expect(csrCacheReader.read(at, { grid: "7x7" })).rejects.toMatchObject({ code: "file_invalid" });
  });
});

it("an image set of Hugging Face Parquet is seen as `datasets` decodes it, upright", async () => {
  const set = await openImageSet(path.join(fixtures, "images/images.parquet"));
  expect(set?.length).toBe(expected.images.pictures.length);
  const rows = Array.from({ length: set?.length ?? 0 }, (_, i) => i);
  const raw: Uint8Array[] = [];
  if (set) for await (const image of set.images(rows)) raw.push(image.bytes);
  if (set) {
    for await (const image of readyImages(set, rows)) {
      const wanted = expected.images.pictures[image.row];
      expect([image.width, image.height], `picture ${image.row}`).toEqual(wanted?.size);
      expect(image.source).toBe(wanted?.source);
      const { data, info } = await sharp(image.bytes ?? (raw[image.row] as Uint8Array))
        .removeAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true });
      const corner = [...data.subarray(3 * (2 * info.width + 2), 3 * (2 * info.width + 2) + 3)];
      for (const [channel, value] of corner.entries())
        expect(Math.abs(value - (wanted?.corner[channel] as number)), `picture ${image.row}`).toBeLessThanOrEqual(6);
    }
  }
});
