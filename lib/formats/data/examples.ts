/**
 * The statistics of a range of features and the items that show them, from one run through their activations in order of item. What is kept
 * does not grow with the number of items.
 */
import { invalidFile } from "../source";
import type { ActivationChunk, CacheShape } from "./activation-stream";

/** How many examples a feature keeps. The bands between are drawn from `sample` random items on which it fires. */
export interface Keep {
  top: number;
  band: number;
  random: number;
  sample: number;
}

export const keepImages: Keep = { top: 5, band: 3, random: 5, sample: 32 };
export const keepTexts: Keep = { top: 10, band: 0, random: 0, sample: 1 };

export type ExampleBand = "top" | "upper" | "middle" | "lower" | "random" | "text";

export interface Chosen {
  band: ExampleBand;
  rank: number;
  item: number;
}

/** Largest finite fp16. */
export const halfMax = 65_504;
const sinkCells = 3;
const sinkShare = 0.5;
const sinkItems = 10;

/** A fixed random number in 0..1 for each (item, feature): the same sample however the cache is cut into files. */
export function lottery(item: number, feature: number): number {
  let x = Math.imul(item + 1, 0x9e3779b1) ^ Math.imul(feature + 1, 0x85ebca77);
  x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
  x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
  return ((x ^ (x >>> 15)) >>> 0) / 4_294_967_296;
}

/** The best `size` items of each feature by a score, best first. */
class Keeper {
  readonly score: Float64Array;
  readonly item: Int32Array;
  /** Largest activation on the item. */
  readonly peak: Float32Array;

  constructor(
    features: number,
    readonly size: number,
  ) {
    this.score = new Float64Array(features * size).fill(Number.NEGATIVE_INFINITY);
    this.item = new Int32Array(features * size).fill(-1);
    this.peak = new Float32Array(features * size);
  }

  /** Of equal scores the item that came first stays ahead. */
  add(feature: number, score: number, item: number, peak: number): void {
    if (this.size === 0) return;
    const start = feature * this.size;
    let at = start + this.size - 1;
    if (score <= (this.score[at] as number)) return;
    for (; at > start && score > (this.score[at - 1] as number); at--) {
      this.score[at] = this.score[at - 1] as number;
      this.item[at] = this.item[at - 1] as number;
      this.peak[at] = this.peak[at - 1] as number;
    }
    this.score[at] = score;
    this.item[at] = item;
    this.peak[at] = peak;
  }

  of(feature: number): { item: number; peak: number }[] {
    const found: { item: number; peak: number }[] = [];
    for (let i = feature * this.size; i < (feature + 1) * this.size && (this.item[i] as number) >= 0; i++) {
      found.push({ item: this.item[i] as number, peak: this.peak[i] as number });
    }
    return found;
  }
}

export interface FeatureStatistics {
  /** Tokens on which it is active, and their activations' sum and maximum. */
  count: number;
  sum: number;
  max: number;
  items: number;
  sink: boolean;
}

export class ExampleCollector {
  readonly #count: Float64Array;
  readonly #sum: Float64Array;
  readonly #max: Float32Array;
  readonly #items: Int32Array;
  readonly #cellSum: Float32Array;
  /** Of the item that a feature was last seen on. */
  readonly #item: Int32Array;
  readonly #itemSum: Float64Array;
  readonly #itemPeak: Float32Array;
  readonly #top: Keeper;
  readonly #sample: Keeper;
  #last = -1;
  /** Entries beyond the tokens that count. */
  beyond = 0;

  /** Features `from` to `to` (exclusive). */
  constructor(
    private readonly file: string,
    readonly from: number,
    readonly to: number,
    private readonly shape: CacheShape,
    private readonly keep: Keep,
  ) {
    const n = to - from;
    this.#count = new Float64Array(n);
    this.#sum = new Float64Array(n);
    this.#max = new Float32Array(n);
    this.#items = new Int32Array(n);
    this.#cellSum = new Float32Array(n * shape.cells);
    this.#item = new Int32Array(n).fill(-1);
    this.#itemSum = new Float64Array(n);
    this.#itemPeak = new Float32Array(n);
    this.#top = new Keeper(n, keep.top);
    this.#sample = new Keeper(n, keep.sample);
  }

  /** Throws `file_invalid` for a value that is no finite number or an item out of order. */
  add(chunk: ActivationChunk): void {
    for (let i = 0; i < chunk.length; i++) {
      const item = chunk.item[i] as number;
      const feature = (chunk.feature[i] as number) - this.from;
      const position = chunk.position[i] as number;
      const value = chunk.value[i] as number;
      if (feature < 0 || feature >= this.to - this.from) continue;
      if (!(Math.abs(value) <= halfMax)) this.#refuse(value, feature + this.from, item, position);
      if (item < this.#last) {
        throw invalidFile(
          `${this.file}: "locations" is not in order: item ${item} comes after item ${this.#last}.`,
          "Sort its rows by their first column, and `activations` with them.",
        );
      }
      if (item >= this.shape.items) {
        throw invalidFile(
          `${this.file}: "locations" names item ${item}; there are ${this.shape.items}.`,
          "Give the image set or the tokens that this cache was made from.",
        );
      }
      this.#last = item;
      if (position >= this.shape.cells) {
        this.beyond++;
        continue;
      }
      if (this.#item[feature] !== item) {
        this.#close(feature);
        this.#item[feature] = item;
      }
      if (value <= 0) continue;
      this.#count[feature] = (this.#count[feature] as number) + 1;
      this.#itemSum[feature] = (this.#itemSum[feature] as number) + value;
      if (value > (this.#itemPeak[feature] as number)) this.#itemPeak[feature] = value;
      const cell = feature * this.shape.cells + position;
      this.#cellSum[cell] = (this.#cellSum[cell] as number) + value;
    }
  }

  #refuse(value: number, feature: number, item: number, position: number): never {
    const what = Number.isNaN(value) ? "NaN" : String(value);
    throw invalidFile(
      `${this.file}: "activations" holds ${what} for feature ${feature}, item ${item}, position ${position}.`,
      Number.isFinite(value)
        ? "Activations above 65,504 do not fit the fp16 of maps; scale the dictionary's activations down and cache again."
        : "Cache again in float32 or bfloat16: values above 65,504 become infinite in float16, and NaN comes of the model's overflow.",
    );
  }

  /** Takes in the item that a feature was last seen on. */
  #close(feature: number): void {
    const item = this.#item[feature] as number;
    const peak = this.#itemPeak[feature] as number;
    if (item < 0 || peak <= 0) return;
    const sum = this.#itemSum[feature] as number;
    this.#items[feature] = (this.#items[feature] as number) + 1;
    this.#sum[feature] = (this.#sum[feature] as number) + sum;
    if (peak > (this.#max[feature] as number)) this.#max[feature] = peak;
    // Images by their mean over the grid, as the paper ranks them; texts, of any length, by their peak.
    this.#top.add(feature, this.shape.grid ? sum : peak, item, peak);
    this.#sample.add(feature, 1 - lottery(item, feature + this.from), item, peak);
    this.#itemSum[feature] = 0;
    this.#itemPeak[feature] = 0;
  }

  /** After the last chunk. */
  finish(): void {
    for (let feature = 0; feature < this.to - this.from; feature++) this.#close(feature);
  }

  statistics(index: number): FeatureStatistics {
    const feature = index - this.from;
    const sum = this.#sum[feature] as number;
    const cells = this.#cellSum.slice(feature * this.shape.cells, (feature + 1) * this.shape.cells).sort();
    let few = 0;
    for (let i = 1; i <= Math.min(sinkCells, cells.length); i++) few += cells[cells.length - i] as number;
    const items = this.#items[feature] as number;
    return {
      count: this.#count[feature] as number,
      sum,
      max: this.#max[feature] as number,
      items,
      sink: items >= sinkItems && cells.length > 2 * sinkCells && few > sinkShare * sum,
    };
  }

  /** The examples of a feature by band. */
  examples(index: number): Chosen[] {
    const feature = index - this.from;
    const list = (band: ExampleBand, items: { item: number }[]) => items.map(({ item }, rank): Chosen => ({ band, rank, item }));
    const top = this.#top.of(feature);
    if (!this.shape.grid) return list("text", top);
    const sample = this.#sample.of(feature);
    const shown = new Set(top.map(({ item }) => item));
    const rest = sample.filter(({ item }) => !shown.has(item)).sort((a, b) => b.peak - a.peak || a.item - b.item);
    const third = rest.length / 3;
    const chosen = list("top", top);
    for (const [i, band] of (["upper", "middle", "lower"] as const).entries()) {
      const members = rest.slice(Math.round(i * third), Math.round((i + 1) * third));
      const step = Math.max(1, Math.floor(members.length / Math.max(1, this.keep.band)));
      chosen.push(...list(band, members.filter((_, j) => j % step === Math.floor(step / 2)).slice(0, this.keep.band)));
    }
    return [...chosen, ...list("random", sample.slice(0, this.keep.random))];
  }
}
