/** Activations of a cache → the rows of features and of examples. Everything is read and checked before the first row is given out. */
import { encodeBytes } from "@/lib/core/sparse-map";
import type { activationColumns } from "../bundle";
import type { Row } from "../parquet";
import { type FeatureRow, invalidFile, unmeasured } from "../source";
import type { ActivationSegment, CacheShape } from "./activation-stream";
import { type ExampleBand, ExampleCollector, keepImages, keepTexts } from "./examples";
import { Spool } from "./spool";

/** Bins of a histogram (docs/formats.md). */
const bins = 32;
/** Features whose statistics and maps are in memory at once. */
export const featuresAtOnce = 16_384;

/** An example whose picture or text goes by its number. */
export interface ItemExample {
  index: number;
  band: ExampleBand;
  rank: number;
  item: number;
  peak: number;
  mean: number;
  positions: Uint8Array;
  values: Uint8Array;
}

export interface CacheTables {
  features: Spool<FeatureRow>;
  examples: Spool<ItemExample>;
  /** Numbers of the items that examples show, ascending. */
  items: Int32Array;
  /** Features without an entry in any file: never seen to fire. */
  silent: number;
  /** Entries beyond the tokens that count. */
  beyond: number;
}

interface MapSlot {
  item: number;
  positions: number[];
  values: number[];
}

/** The second run: the maps of the chosen examples, and the histogram, for which the maximum had to be known. */
class MapCollector {
  readonly histograms: Float64Array;
  readonly #slots: (MapSlot[] | undefined)[];
  readonly #next: Int32Array;

  constructor(
    private readonly file: string,
    private readonly collector: ExampleCollector,
    private readonly cells: number,
    private readonly maxima: Float32Array,
  ) {
    const n = collector.to - collector.from;
    this.histograms = new Float64Array(n * bins);
    this.#next = new Int32Array(n);
    this.#slots = Array.from({ length: n }, (_, i) => {
      const items = [...new Set(collector.examples(collector.from + i).map(({ item }) => item))].sort((a, b) => a - b);
      return items.length ? items.map((item) => ({ item, positions: [], values: [] })) : undefined;
    });
  }

  async read(segment: ActivationSegment, signal?: AbortSignal): Promise<void> {
    const { from, to } = this.collector;
    for await (const chunk of segment.chunks()) {
      signal?.throwIfAborted();
      for (let i = 0; i < chunk.length; i++) {
        const feature = (chunk.feature[i] as number) - from;
        const position = chunk.position[i] as number;
        if (feature < 0 || feature >= to - from || position >= this.cells) continue;
        const value = chunk.value[i] as number;
        const max = this.maxima[feature] as number;
        if (value > 0 && max > 0) {
          const bin = feature * bins + Math.min(bins - 1, Math.floor((value / max) * bins));
          this.histograms[bin] = (this.histograms[bin] as number) + 1;
        }
        this.#place(feature, chunk.item[i] as number, position, value);
      }
    }
  }

  #place(feature: number, item: number, position: number, value: number): void {
    const slots = this.#slots[feature];
    if (!slots) return;
    let at = this.#next[feature] as number;
    while (at < slots.length && (slots[at] as MapSlot).item < item) at++;
    this.#next[feature] = at;
    const slot = slots[at];
    if (slot?.item !== item) return;
    const { positions } = slot;
    if (positions.length && position <= (positions[positions.length - 1] as number)) {
      throw invalidFile(
        `${this.file}: "locations" gives feature ${feature + this.collector.from}, item ${item} the position ${position} twice or out of order.`,
        "Sort its rows and keep each once, and `activations` with them.",
      );
    }
    positions.push(position);
    slot.values.push(value);
  }

  slot(index: number, item: number): MapSlot | undefined {
    return this.#slots[index - this.collector.from]?.find((slot) => slot.item === item);
  }
}

function featureRow(index: number, collector: ExampleCollector, histogram: Float64Array, shape: CacheShape): FeatureRow {
  const found = collector.statistics(index);
  const density = shape.items > 0 ? found.count / (shape.items * shape.cells) : 0;
  const onImages = shape.grid !== null;
  return {
    ...unmeasured(index),
    density: onImages ? density : null,
    text_density: onImages ? null : density,
    max_activation: found.max,
    mean_activation: found.count > 0 ? found.sum / found.count : 0,
    images: onImages ? found.items : null,
    active_tokens: onImages ? found.count : null,
    dead: found.count === 0,
    always_on: density >= 0.5,
    sink: found.sink,
    hist_counts: found.count > 0 ? Array.from(histogram) : null,
  };
}

/**
 * Reads every segment twice. `unsaved`: features of which the files cannot say whether they fire. Throws `file_invalid` for values that are
 * not finite and for rows out of order.
 */
export async function readCache(
  segments: ActivationSegment[],
  shape: CacheShape,
  unsaved: (index: number) => boolean,
  signal?: AbortSignal,
): Promise<CacheTables> {
  const tables: CacheTables = { features: new Spool(), examples: new Spool(), items: new Int32Array(), silent: 0, beyond: 0 };
  const used = new Set<number>();
  for (const whole of segments) {
    for (let from = whole.from; from < whole.to; from += featuresAtOnce) {
      const to = Math.min(whole.to, from + featuresAtOnce);
      const collector = new ExampleCollector(whole.file, from, to, shape, shape.grid ? keepImages : keepTexts);
      for await (const chunk of whole.chunks()) {
        signal?.throwIfAborted();
        collector.add(chunk);
      }
      collector.finish();
      if (from === whole.from) tables.beyond += collector.beyond;
      const maxima = Float32Array.from({ length: to - from }, (_, i) => collector.statistics(from + i).max);
      const maps = new MapCollector(whole.file, collector, shape.cells, maxima);
      await maps.read(whole, signal);
      for (let index = from; index < to; index++) {
        const histogram = maps.histograms.subarray((index - from) * bins, (index - from + 1) * bins);
        const row = featureRow(index, collector, histogram, shape);
        if (row.dead && unsaved(index)) continue;
        if (row.dead) tables.silent++;
        tables.features.add(row);
        for (const { band, rank, item } of collector.examples(index)) {
          const slot = maps.slot(index, item);
          if (!slot) continue;
          used.add(item);
          const sum = slot.values.reduce((total, value) => total + Math.max(0, value), 0);
          const map = { positions: Uint16Array.from(slot.positions), values: Float32Array.from(slot.values) };
          tables.examples.add({ index, band, rank, item, peak: Math.max(0, ...slot.values), mean: sum / shape.cells, ...encodeBytes(map) });
        }
      }
    }
  }
  tables.items = Int32Array.from(used).sort();
  return tables;
}

/** An example as a row of activations: on the picture with the hash given, or on the text of the item's number. */
export function exampleRow(example: ItemExample, shape: CacheShape, image: string | null): Row<typeof activationColumns> {
  const { item, ...rest } = example;
  return {
    ...rest,
    image: shape.grid ? image : null,
    text: shape.grid ? null : item,
    rows: shape.grid?.rows ?? 1,
    cols: shape.grid?.cols ?? shape.cells,
  };
}
