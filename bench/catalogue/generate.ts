/**
 * A catalogue as large as a real one, seeded: each feature's rows depend on its index alone. Written by the product's own bundle writer, a row
 * group at a time. What it is like: densities over five orders of magnitude, maps of a few to hundreds of cells, explanations for nine features in
 * ten, scores for some, nearest features for all that fire.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { createRandom } from "@/lib/core/random";
import { encodeBytes } from "@/lib/core/sparse-map";
import type { dictionaryColumns, imageColumns, textColumns } from "@/lib/formats/bundle";
import { type WriteProgress, writeBundle } from "@/lib/formats/bundle-write";
import type { Row } from "@/lib/formats/parquet";
import { emptyTable, madeTable, type Source } from "@/lib/formats/source";
import { sharp } from "@/lib/sharp";
import { drawMeaning, type Meaning } from "./labels";

const seed = 20_261_125;
const images = 2_048;
const side = 24;
/** Maps of each feature that fires. */
export const mapsEach = 10;
const neighboursEach = 10;
const tokensEach = 5;

type Rows = { [Name in keyof typeof dictionaryColumns]: Row<(typeof dictionaryColumns)[Name]> };

const hash = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");

/** A normal deviate. */
const normal = (random: () => number) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const between = (low: number, value: number, high: number) => Math.min(high, Math.max(low, value));

interface Feature {
  row: Rows["features"];
  /** Cells of a typical map. */
  size: number;
  meaning: Meaning | null;
  failed: boolean;
}

function featureOf(index: number): Feature {
  const random = createRandom(seed, index);
  const dead = random() < 0.03;
  const density = dead ? 0 : between(1e-6, 10 ** (-3.6 + 0.8 * normal(random)), 0.9);
  const max = dead ? 0 : between(0.2, Math.exp(2 + 0.9 * normal(random)), 900);
  const alwaysOn = density >= 0.5;
  const share = random();
  const explained = random();
  const active = Math.round(density * 5e8);
  return {
    row: {
      index,
      density,
      text_density: dead ? 0 : density * random(),
      max_activation: max,
      mean_activation: max * (0.1 + 0.3 * random()),
      image_share: dead ? null : share < 0.3 ? 1 : random(),
      images: dead ? 0 : Math.max(10, Math.min(500_000, Math.round(active / 20))),
      active_tokens: active,
      dead,
      always_on: alwaysOn,
      sink: !dead && random() < 0.004,
      hist_counts: Array.from({ length: 32 }, (_, bin) => Math.floor((active / 8) * 0.8 ** bin)),
    },
    size: between(2, Math.exp(2.5 + 0.8 * normal(random) + (density > 0.01 ? 1 : 0)), 400),
    meaning: dead || explained > 0.92 ? null : drawMeaning(random),
    failed: !dead && explained > 0.97,
  };
}

/** A round patch of about `size` cells, strongest in the middle. */
function mapOf(random: () => number, size: number, peak: number) {
  const radius = Math.sqrt(size / Math.PI) * (0.7 + 0.6 * random());
  const [y, x] = [random() * side, random() * side];
  const positions: number[] = [];
  const values: number[] = [];
  for (let row = Math.max(0, Math.ceil(y - radius)); row < side && row <= y + radius; row++) {
    for (let col = Math.max(0, Math.ceil(x - radius)); col < side && col <= x + radius; col++) {
      const far = Math.hypot(row - y, col - x) / Math.max(radius, 0.5);
      if (far > 1 || random() < 0.1) continue;
      positions.push(side * row + col);
      values.push(peak * (1 - 0.7 * far) * (0.8 + 0.2 * random()));
    }
  }
  if (positions.length === 0) {
    positions.push(side * Math.floor(y) + Math.floor(x));
    values.push(peak);
  }
  const sum = values.reduce((all, value) => all + value, 0);
  return {
    rows: side,
    cols: side,
    peak: Math.max(...values),
    mean: sum / side ** 2,
    ...encodeBytes({ positions: Uint16Array.from(positions), values: Float32Array.from(values) }),
  };
}

function* activationsOf(index: number, hashes: string[]): Generator<Rows["activations"]> {
  const { row, size } = featureOf(index);
  if (row.dead) return;
  const random = createRandom(seed + 1, index);
  const example = (band: string, rank: number, strength: number): Rows["activations"] => ({
    index,
    band,
    rank,
    image: hashes[Math.floor(random() * hashes.length)] as string,
    text: null,
    ...mapOf(random, size, (row.max_activation ?? 1) * strength),
  });
  for (let rank = 0; rank < mapsEach; rank++) yield example("top", rank, 1 - 0.03 * rank);
  // Some have weaker examples too, as many as the dead ones lack.
  if (index % 24 === 0) for (let rank = 0; rank < 8; rank++) yield example("lower", rank, 0.2);
}

function* explanationsOf(index: number): Generator<Rows["explanations"]> {
  const { meaning, failed } = featureOf(index);
  if (!meaning && !failed) return;
  const common = { index, author: "a generator", prompt: null, created_at: "2026-01-02T03:04:05Z" };
  if (meaning) yield { ...common, method: "top-images", ...meaning, failure: null, preferred: true };
  else yield { ...common, method: "top-images", text: null, label: null, concept: null, failure: "could not be parsed", preferred: false };
  if (meaning && index % 10 === 0) {
    const other = drawMeaning(createRandom(seed + 2, index));
    yield { ...common, method: "causal", ...other, failure: null, preferred: false };
  }
}

function* scoresOf(index: number): Generator<Rows["scores"]> {
  const { meaning } = featureOf(index);
  if (!meaning) return;
  const random = createRandom(seed + 3, index);
  const common = { index, explanation: "top-images", baseline: 0.05, n: 10, failure: null, method: "a generator" };
  if (random() < 0.6) yield { ...common, metric: "iou", value: random() ** 2 };
  if (random() < 0.9) yield { ...common, metric: "clip", value: between(0, 0.24 + 0.04 * normal(random), 1) };
  if (random() < 0.9) yield { ...common, metric: "consistency", value: Math.round(10 * random()) / 10 };
  if (random() < 0.3) yield { ...common, metric: "steer", value: Math.round(20 * random()) / 20 };
}

function* neighboursOf(index: number, features: number): Generator<Rows["neighbours"]> {
  if (featureOf(index).row.dead) return;
  const random = createRandom(seed + 4, index);
  for (let rank = 0; rank < neighboursEach; rank++) {
    yield { index, kind: "decoder", rank, neighbour: Math.floor(random() * features), value: 0.9 - 0.05 * rank };
  }
}

function* tokensOf(index: number): Generator<Rows["tokens"]> {
  const { row, meaning } = featureOf(index);
  if (row.dead) return;
  const words = meaning?.label.split(" ") ?? ["thing"];
  for (let rank = 0; rank < tokensEach; rank++) {
    yield { index, kind: "writes", rank, token: ` ${words[rank % words.length]}`, value: 3 - rank / 2 };
  }
}

/** Small pictures of two colours each: their bytes play no part in what is measured, only that they are there. */
async function makeImages(): Promise<Row<typeof imageColumns>[]> {
  const made: Row<typeof imageColumns>[] = [];
  const size = 64;
  for (let i = 0; i < images; i++) {
    const random = createRandom(seed + 5, i);
    const [r, g, b] = [random, random, random].map((next) => Math.floor(256 * next()));
    const raw = Buffer.alloc(3 * size * size, 255);
    raw.writeUInt32LE(i, 0);
    for (let at = 12 * size; at < raw.length; at += 3) raw.set([r ?? 0, (g ?? 0) ^ ((at >> 6) & 63), b ?? 0], at);
    const bytes = new Uint8Array(
      await sharp(raw, { raw: { width: size, height: size, channels: 3 } })
        .webp({ lossless: true, effort: 0 })
        .toBuffer(),
    );
    made.push({ sha256: hash(bytes), bytes, mime: "image/webp", width: size, height: size, source: `generated ${i}`, caption: null });
  }
  return made;
}

const modelName = "bench-model";
const dictionaryName = "model.layers.24";
export const benchRef = `${modelName}/${dictionaryName}`;

/** The label of each feature that has one, as the embedder is given it. */
export function* labelsOf(features: number): Generator<string> {
  for (let index = 0; index < features; index++) {
    const label = featureOf(index).meaning?.label;
    if (label !== undefined) yield label;
  }
}

async function sourceOf(features: number): Promise<Source> {
  const pictures = await makeImages();
  const hashes = pictures.map((picture) => picture.sha256);
  const over = <T>(each: (index: number) => Iterable<T>) =>
    function* () {
      for (let index = 0; index < features; index++) yield* each(index);
    };
  const sha256 = hash(`a generated dictionary of ${features}`);
  return {
    format: "generated",
    found: [],
    model: { id: modelName, name: "A generated model", sha256: hash(modelName), image_size: 336, grid: { rows: side, cols: side } },
    attribution: null,
    images: madeTable("images", images, () => pictures),
    texts: emptyTable<typeof textColumns>(),
    dictionaries: [
      {
        entry: {
          id: dictionaryName,
          hook: dictionaryName,
          layer: 24,
          sha256,
          num_latents: features,
          width: 4_096,
          activation: "topk",
          k: 256,
          metrics: { explained_variance: 0.8, fvu: 0.2, l0: 256, dead_share: 0.03, loss_recovered: null },
          images: 500_000,
          image_tokens: 288_000_000,
          text_tokens: 40_000_000,
        },
        content: sha256,
        tables: {
          features: madeTable(
            "features",
            features,
            over((index) => [featureOf(index).row]),
          ),
          activations: madeTable(
            "activations",
            features * mapsEach,
            over((index) => activationsOf(index, hashes)),
          ),
          explanations: madeTable("explanations", features, over(explanationsOf)),
          scores: madeTable("scores", 3 * features, over(scoresOf)),
          neighbours: madeTable(
            "neighbours",
            features * neighboursEach,
            over((index) => neighboursOf(index, features)),
          ),
          tokens: madeTable("tokens", features * tokensEach, over(tokensOf)),
        },
      },
    ],
    async verify() {},
  };
}

/** Makes the bundle in `folder`, where it is not there already. */
export async function ensureBundle(folder: string, features: number, onProgress?: (progress: WriteProgress) => void): Promise<void> {
  if (existsSync(folder)) return;
  await writeBundle(await sourceOf(features), folder, onProgress);
}
