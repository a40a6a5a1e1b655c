/** Pictures on which some features fire in a painted region, by stored maps: how they are measured and put in order. */
import { coverage, type Region } from "./region";
import { regionMeans } from "./region-contrast";
import type { SparseMap } from "./sparse-map";

/** Stored examples of one feature that are looked at: with 16 features, at most 2,048 maps a question. */
export const mostRegionExamples = 128;

/** A stored example of a feature on a picture. */
export interface RegionExample {
  /** The feature's. */
  index: number;
  /** The picture's number in the order of import. */
  image: number;
  rows: number;
  cols: number;
  peak: number;
  map: SparseMap;
}

export interface FoundOnPicture<E> {
  example: E;
  inside: number;
  outside: number;
  /** inside / the feature's maximum, at most 1. */
  share: number;
}

export interface RankedPicture<E> {
  image: number;
  /** Mean over the features asked for of `share`; one without a stored example on the picture counts as 0. */
  score: number;
  /** Those that fire in the region, the greatest share first. */
  found: FoundOnPicture<E>[];
}

/** The region on each grid that occurs: usually one. */
export function covers(region: Region): (rows: number, cols: number) => Float32Array {
  const known = new Map<string, Float32Array>();
  return (rows, cols) => {
    const key = `${rows}x${cols}`;
    const cover = known.get(key) ?? coverage(region, rows, cols);
    known.set(key, cover);
    return cover;
  };
}

export interface Sought {
  /** How many features were asked for. */
  count: number;
  /** Each feature's maximum, in raw activation. */
  maxima: ReadonlyMap<number, number>;
  coverOn: (rows: number, cols: number) => Float32Array;
}

/** One picture by its maps of the features, one each; null where none has activation in the region. */
export function scorePicture<E extends RegionExample>(
  image: number,
  examples: readonly E[],
  { count, maxima, coverOn }: Sought,
): RankedPicture<E> | null {
  const found = examples.flatMap((example): FoundOnPicture<E>[] => {
    const means = regionMeans(example.map, coverOn(example.rows, example.cols));
    if (means.inside <= 0) return [];
    return [{ example, ...means, share: Math.min(1, means.inside / Math.max(maxima.get(example.index) ?? 0, example.peak)) }];
  });
  if (found.length === 0) return null;
  return {
    image,
    score: found.reduce((sum, { share }) => sum + share, 0) / count,
    found: found.toSorted((a, b) => b.share - a.share || a.example.index - b.example.index),
  };
}

/** The best first; equal ones in the order of import. */
export const byScore = (a: RankedPicture<unknown>, b: RankedPicture<unknown>): number => b.score - a.score || a.image - b.image;

/**
 * The pictures with activation in the region, best first.
 * @param sought how many features were asked for
 * @param maxima each feature's maximum, in raw activation
 */
export function rankPictures<E extends RegionExample>(
  examples: readonly E[],
  region: Region,
  sought: number,
  maxima: ReadonlyMap<number, number>,
): { ranked: RankedPicture<E>[]; examples: number; pictures: number } {
  const seen = new Set<string>();
  const pictures = new Map<number, E[]>();
  for (const example of examples) {
    const on = pictures.get(example.image) ?? [];
    pictures.set(example.image, on);
    // A picture may be an example in two bands.
    const key = `${example.index}/${example.image}`;
    if (seen.has(key)) continue;
    seen.add(key);
    on.push(example);
  }
  const question = { count: sought, maxima, coverOn: covers(region) };
  const ranked = [...pictures].flatMap(([image, on]) => scorePicture(image, on, question) ?? []).sort(byScore);
  return { ranked, examples: seen.size, pictures: pictures.size };
}
