/** `features/`: statistics, histograms, the tokens that a feature writes and suppresses, its nearest by decoder cosine. */
import { createHash } from "node:crypto";
import type { neighbourColumns, tokenColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { type FeatureRow, invalidFile, madeTable, unmeasured } from "../source";
import { readScore } from "./failures";
import { FeatureRecords } from "./feature-records";
import { again, checkOrigin, indexOf, linesOfFiles, numbersOf, type Origin, type OriginLine } from "./neuronpedia-lines";

export interface FeatureLine extends OriginLine {
  hookName?: unknown;
  maxActApprox?: unknown;
  frac_nonzero?: unknown;
  pos_str?: unknown;
  pos_values?: unknown;
  neg_str?: unknown;
  neg_values?: unknown;
  freq_hist_data_bar_heights?: unknown;
  freq_hist_data_bar_values?: unknown;
  topkCosSimIndices?: unknown;
  topkCosSimValues?: unknown;
  /** Facet's own, where an export of its catalogue holds them: what Neuronpedia has no key for. */
  textDensity?: unknown;
  imageDensity?: unknown;
  imageShare?: unknown;
  meanActivation?: unknown;
}

const bins = 32;

/** Bars of any width, given by their middles and heights → 32 equal bins from 0 to `max`, each bar in its middle's bin. */
export function rebin(middles: number[], heights: number[], max: number): number[] | null {
  if (max <= 0 || middles.length === 0 || middles.length !== heights.length) return null;
  const counts = new Array<number>(bins).fill(0);
  for (const [i, middle] of middles.entries()) {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor((middle / max) * bins)));
    counts[bin] = (counts[bin] as number) + Math.max(0, Math.round(heights[i] as number));
  }
  return counts.some((one) => one > 0) ? counts : null;
}

function shareOf(where: string, index: number, key: string, value: unknown): number | null {
  const share = readScore(value);
  if (share !== null && (share < 0 || share > 1)) {
    throw invalidFile(`${where}: "${key}" of feature ${index} is ${share}; it is a share, 0 to 1.`, again);
  }
  return share;
}

/** Mean of the bars' middles by their heights. */
function meanOf(middles: number[], heights: number[]): number {
  const weights = heights.map((height) => Math.max(0, height));
  return middles.reduce((sum, middle, i) => sum + middle * (weights[i] as number), 0) / weights.reduce((sum, one) => sum + one, 0);
}

function featureRow(where: string, index: number, line: FeatureLine): FeatureRow {
  const share = (key: keyof FeatureLine) => shareOf(where, index, key, line[key]);
  const own = "textDensity" in line || "imageDensity" in line;
  const [text, image] = own ? [share("textDensity"), share("imageDensity")] : [share("frac_nonzero"), null];
  const middles = numbersOf(where, "freq_hist_data_bar_values", line.freq_hist_data_bar_values);
  const heights = numbersOf(where, "freq_hist_data_bar_heights", line.freq_hist_data_bar_heights);
  const max = readScore(line.maxActApprox);
  const counts = max === null ? null : rebin(middles, heights, max);
  const said = [text, image, max].filter((one) => one !== null);
  return {
    ...unmeasured(index),
    density: image,
    text_density: text,
    image_share: share("imageShare"),
    max_activation: max,
    mean_activation: readScore(line.meanActivation) ?? (counts ? meanOf(middles, heights) : null),
    dead: said.length ? said.every((one) => one <= 0) : null,
    always_on: text === null && image === null ? null : Math.max(text ?? 0, image ?? 0) >= 0.5,
    hist_counts: counts,
  };
}

type TokenRow = Row<typeof tokenColumns>;
type NeighbourRow = Row<typeof neighbourColumns>;

function tokensOf(where: string, index: number, line: FeatureLine): TokenRow[] {
  const list = (kind: string, words: unknown, key: "pos_values" | "neg_values") => {
    const strings: unknown[] = Array.isArray(words) ? words : [];
    return numbersOf(where, key, line[key]).flatMap((value, rank): TokenRow[] => {
      const token = strings[rank];
      return typeof token === "string" ? [{ index, kind, rank, token, value }] : [];
    });
  };
  return [...list("writes", line.pos_str, "pos_values"), ...list("suppresses", line.neg_str, "neg_values")];
}

/** Neuronpedia counts the feature itself as its own nearest; here it is left out. */
function neighboursOf(where: string, index: number, line: FeatureLine): NeighbourRow[] {
  const indices = numbersOf(where, "topkCosSimIndices", line.topkCosSimIndices);
  const values = numbersOf(where, "topkCosSimValues", line.topkCosSimValues);
  if (indices.length !== values.length) {
    throw invalidFile(`${where}: ${indices.length} "topkCosSimIndices" have ${values.length} "topkCosSimValues".`, again);
  }
  const seen = new Set([index]);
  const near: NeighbourRow[] = [];
  for (const [i, given] of indices.entries()) {
    const neighbour = indexOf(where, given);
    if (seen.has(neighbour)) continue;
    seen.add(neighbour);
    near.push({ index, kind: "decoder", rank: near.length, neighbour, value: values[i] as number });
  }
  return near;
}

interface FeatureRecord {
  /** Of the line, to know it again. */
  mark: string;
  row: FeatureRow;
  tokens: TokenRow[];
  neighbours: NeighbourRow[];
}

export interface ReadFeatures {
  features: Table<typeof import("../bundle").featureColumns>;
  tokens: Table<typeof tokenColumns>;
  neighbours: Table<typeof neighbourColumns>;
  /** The largest number that was named, of a neighbour too; -1 where none was. */
  last: number;
}

/** Reads and checks every line; rows wait on disk. Throws `file_invalid`. */
export async function readFeatures(path: string, files: string[], origin: Origin, signal?: AbortSignal): Promise<ReadFeatures> {
  const records = new FeatureRecords<FeatureRecord>();
  let [tokens, neighbours, last] = [0, 0, -1];
  for await (const { where, line } of linesOfFiles<FeatureLine>(files)) {
    signal?.throwIfAborted();
    checkOrigin(where, line, origin);
    const index = indexOf(where, line.index);
    const record: FeatureRecord = {
      mark: createHash("sha1").update(JSON.stringify(line)).digest("base64"),
      row: featureRow(where, index, line),
      tokens: tokensOf(where, index, line),
      neighbours: neighboursOf(where, index, line),
    };
    if (!records.add(index, record)) {
      if (records.get(index)?.mark === record.mark) continue;
      throw invalidFile(`${where}: feature ${index} comes twice, and says two things.`, "Keep one of the two lines.");
    }
    tokens += record.tokens.length;
    neighbours += record.neighbours.length;
    for (const { neighbour } of record.neighbours) last = Math.max(last, neighbour);
    last = Math.max(last, index);
  }
  return {
    features: madeTable(path, records.size, function* () {
      for (const { row } of records.values()) yield row;
    }),
    tokens: madeTable(path, tokens, function* () {
      for (const record of records.values()) yield* record.tokens;
    }),
    neighbours: madeTable(path, neighbours, function* () {
      for (const record of records.values()) yield* record.neighbours;
    }),
    last,
  };
}
