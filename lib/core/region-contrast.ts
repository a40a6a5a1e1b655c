/**
 * Which features are about a painted part of a picture. With w(c) the share of cell c that the region covers, 0..1, and a(c) the feature's activation
 * there (raw, as everywhere), zeros included:
 *
 *   inside = Σ w·a / Σ w     outside = Σ (1 − w)·a / Σ (1 − w)     contrast = inside − outside
 *
 * A mean over no cell is 0.
 */
import type { SparseMap } from "./sparse-map";

export interface RegionMeans {
  /** Means over the region and over the rest, in raw activation. */
  inside: number;
  outside: number;
}

export interface Contrast extends RegionMeans {
  /** inside − outside. */
  contrast: number;
}

const ratio = (sum: number, weight: number) => (weight > 0 ? sum / weight : 0);

/** Of a map over the grid of `cover` (the region's share of each cell). Positions outside the grid are ignored. */
export function regionMeans({ positions, values }: SparseMap, cover: Float32Array): RegionMeans {
  let covered = 0;
  for (const share of cover) covered += share;
  let inside = 0;
  let all = 0;
  for (let i = 0; i < positions.length; i++) {
    const share = cover[positions[i] as number];
    if (share === undefined) continue;
    inside += share * (values[i] as number);
    all += values[i] as number;
  }
  return { inside: ratio(inside, covered), outside: ratio(all - inside, cover.length - covered) };
}

/** As `regionMeans`, of a dense map with an activation for each cell of `cover`. */
export function contrastOf(dense: Float32Array, cover: Float32Array): Contrast {
  let covered = 0;
  let inside = 0;
  let outside = 0;
  for (let cell = 0; cell < cover.length; cell++) {
    const share = cover[cell] as number;
    const activation = dense[cell] ?? 0;
    covered += share;
    inside += share * activation;
    outside += (1 - share) * activation;
  }
  const means = { inside: ratio(inside, covered), outside: ratio(outside, cover.length - covered) };
  return { ...means, contrast: means.inside - means.outside };
}

/** Features that fire more inside than outside, the greatest contrast first, equal ones by index. */
export function rankByContrast<F extends { index: number; dense: Float32Array }>(
  features: readonly F[],
  cover: Float32Array,
): (Contrast & { feature: F })[] {
  return (
    features
      .map((feature) => ({ feature, ...contrastOf(feature.dense, cover) }))
      // What is equal on both sides differs by what float sums leave.
      .filter(({ contrast, inside }) => contrast > 1e-6 * inside)
      .sort((a, b) => b.contrast - a.contrast || a.feature.index - b.feature.index)
  );
}
