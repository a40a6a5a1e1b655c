/** Writes small bundles for tests: drawn pictures and features that fire on what is drawn, deterministic in every byte that matters. */
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { encodeBytes } from "@/lib/core/sparse-map";
import { dictionaryColumns, imageColumns, textColumns } from "@/lib/formats/bundle";
import type { Columns } from "@/lib/formats/parquet";
import { columnOf, schemaOf } from "@/lib/formats/parquet-write";
import { sharp } from "@/lib/sharp";

export interface TestBundleOptions {
  features?: number;
  images?: number;
  /** Changes the dictionary's weights hash, hence its version. */
  version?: string;
  /** Written into the explanations: changes the content but not the version. */
  remark?: string;
  model?: string;
  dictionaries?: string[];
  /** Last word on the rows before they are written. */
  edit?: (tables: Record<string, Record<string, unknown>[]>) => void;
}

const rows = 12;
const cols = 12;
const colours = { red: "#d33", green: "#3a3", blue: "#36c", yellow: "#dc3", purple: "#83b", orange: "#e72", grey: "#888", pink: "#e8a" };
const shapes = ["circle", "square", "triangle", "star", "ring", "cross"] as const;
type Shape = (typeof shapes)[number];
const hash = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");

/** A small deterministic generator (mulberry32), 0 ≤ x < 1. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Scene {
  shape: Shape;
  colour: keyof typeof colours;
  /** Centre and radius in grid cells. */
  x: number;
  y: number;
  r: number;
}

function draw({ shape, colour, x, y, r }: Scene, size: number): string {
  const cell = size / cols;
  const [cx, cy, radius] = [x * cell, y * cell, r * cell];
  const fill = colours[colour];
  const points = (n: number, inner: number) =>
    Array.from({ length: n }, (_, i) => {
      const angle = (i / n) * 2 * Math.PI - Math.PI / 2;
      const length = i % 2 ? radius * inner : radius;
      return `${(cx + length * Math.cos(angle)).toFixed(1)},${(cy + length * Math.sin(angle)).toFixed(1)}`;
    }).join(" ");
  switch (shape) {
    case "circle":
      return `<circle cx="${cx}" cy="${cy}" r="${radius}" fill="${fill}"/>`;
    case "ring":
      return `<circle cx="${cx}" cy="${cy}" r="${radius * 0.8}" fill="none" stroke="${fill}" stroke-width="${radius * 0.35}"/>`;
    case "square":
      return `<rect x="${cx - radius}" y="${cy - radius}" width="${2 * radius}" height="${2 * radius}" fill="${fill}"/>`;
    case "triangle":
      return `<polygon points="${points(3, 1)}" fill="${fill}"/>`;
    case "star":
      return `<polygon points="${points(10, 0.45)}" fill="${fill}"/>`;
    case "cross":
      return `<path d="M${cx - radius} ${cy}h${2 * radius}M${cx} ${cy - radius}v${2 * radius}" stroke="${fill}" stroke-width="${radius * 0.6}"/>`;
  }
}

/** One Parquet file of the rows given. */
export function parquetBytes(columns: Columns, table: Record<string, unknown>[], rowGroupSize = 500): Uint8Array {
  return new Uint8Array(
    parquetWriteBuffer({
      columnData: Object.entries(columns).map(([name, kind]) => ({
        name,
        data: columnOf(
          kind,
          table.map((row) => row[name]),
        ) as never,
      })),
      schema: schemaOf(columns),
      rowGroupSize,
    }),
  );
}

async function makeImages(count: number, random: () => number): Promise<{ scene: Scene; row: Record<string, unknown> }[]> {
  const names = Object.keys(colours) as (keyof typeof colours)[];
  const made: { scene: Scene; row: Record<string, unknown> }[] = [];
  for (let i = 0; i < count; i++) {
    const scene: Scene = {
      shape: shapes[i % shapes.length] as Shape,
      colour: names[Math.floor(i / shapes.length) % names.length] as keyof typeof colours,
      x: 3 + random() * 6,
      y: 3 + random() * 6,
      r: 1.5 + random() * 1.5,
    };
    const size = 192;
    const tint = ["#f4efe6", "#e6eef4", "#eaf4e6", "#f4e6ee"][i % 4];
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}"><rect width="100%" height="100%" fill="${tint}"/>${draw(scene, size)}</svg>`;
    const bytes = new Uint8Array(await sharp(Buffer.from(svg)).webp({ quality: 80 }).toBuffer());
    made.push({
      scene,
      row: {
        sha256: hash(bytes),
        bytes,
        mime: "image/webp",
        width: size,
        height: size,
        source: `drawn ${i}`,
        caption: `a ${scene.colour} ${scene.shape}`,
      },
    });
  }
  return made;
}

function mapOver(scene: Scene, strength: number, random: () => number) {
  const positions: number[] = [];
  const values: number[] = [];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < cols; x++) {
      const distance = Math.hypot(x + 0.5 - scene.x, y + 0.5 - scene.y) / scene.r;
      if (distance > 1.15) continue;
      positions.push(y * cols + x);
      values.push(strength * (1.1 - 0.6 * distance) * (0.85 + 0.3 * random()));
    }
  }
  const peak = Math.max(0, ...values);
  const mean = values.reduce((sum, value) => sum + value, 0) / (rows * cols);
  return { rows, cols, peak, mean, ...encodeBytes({ positions: Uint16Array.from(positions), values: Float32Array.from(values) }) };
}

/** What feature `i` stands for: every third one a shape, every third a colour, every third both; each ninth is dead. */
function meaningOf(i: number): { label: string; concept: string; fires: (scene: Scene) => boolean } | null {
  const names = Object.keys(colours) as (keyof typeof colours)[];
  const shape = shapes[Math.floor(i / 3) % shapes.length] as Shape;
  const colour = names[Math.floor(i / 5) % names.length] as keyof typeof colours;
  if (i % 9 === 8) return null;
  if (i % 3 === 0) return { label: shape, concept: "object", fires: (scene) => scene.shape === shape };
  if (i % 3 === 1) return { label: `${colour} things`, concept: "colour", fires: (scene) => scene.colour === colour };
  return { label: `${colour} ${shape}`, concept: "object", fires: (scene) => scene.colour === colour || scene.shape === shape };
}

type Tables = Record<"features" | "activations" | "explanations" | "scores" | "neighbours" | "tokens", Record<string, unknown>[]>;

function makeDictionary(
  count: number,
  images: { scene: Scene; row: Record<string, unknown> }[],
  texts: number,
  remark: string,
  random: () => number,
): Tables {
  const tables: Tables = { features: [], activations: [], explanations: [], scores: [], neighbours: [], tokens: [] };
  for (let index = 0; index < count; index++) {
    const meaning = meaningOf(index);
    const strength = 1 + 9 * random();
    const firing = meaning ? images.filter((image) => meaning.fires(image.scene)) : [];
    const examples = firing
      .map((image) => ({ image, map: mapOver(image.scene, strength, random) }))
      .sort((a, b) => b.map.peak - a.map.peak);
    const max = examples[0]?.map.peak ?? 0;
    const tokens = examples.reduce((sum, example) => sum + example.map.positions.byteLength / 2, 0);
    tables.features.push({
      index,
      density: tokens / (images.length * rows * cols),
      text_density: meaning ? random() / 50 : 0,
      max_activation: max,
      mean_activation: max / 2,
      image_share: meaning ? 0.5 + random() / 2 : null,
      images: firing.length,
      active_tokens: tokens,
      dead: !meaning,
      always_on: false,
      sink: index === 1,
      hist_counts: Array.from({ length: 32 }, (_, i) => (meaning ? Math.floor((tokens * 2) / (i + 2)) : 0)),
    });
    const place = (band: string, list: typeof examples) =>
      list.forEach((example, rank) => {
        tables.activations.push({ index, band, rank, image: example.image.row.sha256, text: null, ...example.map });
      });
    place("top", examples.slice(0, 10));
    place("upper", examples.slice(10, 14));
    place("middle", examples.slice(14, 18));
    place("lower", examples.slice(-3));
    place("random", examples.slice(0, 20).reverse().slice(0, 5));
    if (!meaning) continue;
    if (texts) {
      const map = { positions: Uint16Array.of(1, 2), values: Float32Array.of(max / 2, max) };
      const common = { rows: 1, cols: 4, peak: max, mean: (1.5 * max) / 4, ...encodeBytes(map) };
      tables.activations.push({ index, band: "text", rank: 0, image: null, text: index % texts, ...common });
    }
    const common = { index, author: "test-model", prompt: "What is this?", created_at: "2026-01-02T03:04:05Z", concept: meaning.concept };
    const text = `This fires on ${meaning.label} drawn on a plain background${remark}.`;
    if (index % 7 !== 6) {
      tables.explanations.push({ ...common, method: "causal", text, label: meaning.label, failure: null, preferred: true });
      const iou = index % 4 === 3 ? null : random();
      const score = { index, explanation: "causal", n: 12, method: "over twelve pictures" };
      tables.scores.push({ ...score, metric: "iou", value: iou, baseline: 0.05, failure: iou === null ? "no mask" : null });
      tables.scores.push({ ...score, metric: "steer", value: Math.round(random() * 10) / 10, baseline: 0, failure: null });
    }
    const failed = { text: null, label: null, concept: null, failure: "not parsable", preferred: false };
    tables.explanations.push({ ...common, method: "top-images", ...failed });
    for (let rank = 0; rank < 5; rank++) {
      tables.neighbours.push({ index, kind: "decoder", rank, neighbour: (index + rank * 7 + 1) % count, value: 0.9 - rank * 0.1 });
      tables.tokens.push({
        index,
        kind: "writes",
        rank,
        token: ` ${meaning.label.split(" ")[rank % 2] ?? "thing"}${rank}`,
        value: 3 - rank * 0.5,
      });
      tables.tokens.push({ index, kind: "reads", rank, token: ` read${rank}`, value: 1 - rank * 0.1 });
    }
  }
  return tables;
}

/** Writes a whole bundle into `folder` and returns its manifest. */
export async function writeTestBundle(folder: string, options: TestBundleOptions = {}): Promise<Record<string, unknown>> {
  const {
    features = 60,
    images: imageCount = 48,
    version = "1",
    remark = "",
    model = "test-model",
    dictionaries = ["model.layers.1"],
  } = options;
  const random = generator(7);
  const images = await makeImages(imageCount, random);
  const texts = Array.from({ length: 5 }, (_, id) => ({
    id,
    tokens: [" a", ` word${id}`, ' "quoted\\', "."],
    image: id ? (images[id]?.row.sha256 ?? null) : null,
  }));
  const files: Record<string, { sha256: string; bytes: number; rows: number }> = {};
  const put = async (name: string, columns: Columns, table: Record<string, unknown>[]) => {
    const bytes = parquetBytes(columns, table);
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
    files[name] = { sha256: hash(bytes), bytes: bytes.byteLength, rows: table.length };
  };
  const made = dictionaries.map((id) => ({ id, tables: makeDictionary(features, images, texts.length, remark, random) }));
  const edited = { images: images.map((image) => image.row), texts, ...made[0]?.tables };
  options.edit?.(edited);
  await put("images.parquet", imageColumns, edited.images);
  await put("texts.parquet", textColumns, edited.texts);
  for (const { id, tables } of made) {
    for (const [name, columns] of Object.entries(dictionaryColumns))
      await put(`${id}/${name}.parquet`, columns, tables[name as keyof Tables]);
  }
  const manifest = {
    format: "facet-bundle/1",
    model: { id: model, name: "A test model", sha256: hash(`model ${model}`), image_size: 96, grid: { rows, cols } },
    attribution: "Drawn for tests.",
    dictionaries: dictionaries.map((id, i) => ({
      id,
      hook: id,
      layer: i + 1,
      sha256: hash(`weights of ${model} ${id} ${version}`),
      num_latents: features,
      width: 64,
      activation: "topk",
      k: 8,
      metrics: { explained_variance: 0.94, fvu: 0.06, l0: 8, dead_share: 1 / 9, loss_recovered: 0.98 },
      images: imageCount,
      image_tokens: imageCount * rows * cols,
      text_tokens: 20,
      folder: id,
    })),
    files,
    made: { command: "writeTestBundle", seed: 7 },
  };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(manifest, null, 2));
  return manifest;
}

/** Writes the manifest again with the true size and hash of one file, after a test has changed it. */
export async function resealFile(folder: string, name: string): Promise<void> {
  const file = path.join(folder, "manifest.json");
  const manifest = JSON.parse(await readFile(file, "utf8")) as { files: Record<string, { sha256: string; bytes: number }> };
  const bytes = await readFile(path.join(folder, name));
  manifest.files[name] = { ...manifest.files[name], sha256: hash(bytes), bytes: bytes.byteLength };
  await writeFile(file, JSON.stringify(manifest, null, 2));
}
