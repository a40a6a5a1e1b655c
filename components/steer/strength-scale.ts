/**
 * The strength slider's axis. A feature's own activations lie between 0 and its maximum (1), and what steers lies beyond: so the stretch
 * from 0 to 1 gets more than a quarter of the track, where its histogram is legible, and −4…0 and 1…8 share the rest, each evenly.
 */
import { strengthRange } from "./state";

const knots = [
  { value: strengthRange.min, at: 0 },
  { value: 0, at: 0.18 },
  { value: 1, at: 0.46 },
  { value: strengthRange.max, at: 1 },
] as const;

export const strengthTicks = [-4, 0, 1, 4, 8] as const;

function along(x: number, from: "value" | "at", to: "value" | "at"): number {
  const first = knots[0];
  if (x <= first[from]) return first[to];
  for (let i = 1; i < knots.length; i++) {
    const low = knots[i - 1] as (typeof knots)[number];
    const high = knots[i] as (typeof knots)[number];
    if (x <= high[from]) return low[to] + ((x - low[from]) / (high[from] - low[from])) * (high[to] - low[to]);
  }
  return knots[knots.length - 1]?.[to] ?? 1;
}

/** Share 0..1 of the track's length at which a strength lies; the ends beyond the range. */
export const strengthToShare = (value: number) => along(value, "value", "at");

/** The strength at a share of the track, on a step that suits a pointer: 0.05 within the feature's own activations, 0.1 outside. */
export function shareToStrength(share: number): number {
  const value = along(share, "at", "value");
  const steps = value > 0 && value < 1 ? 20 : 10;
  return Math.round(value * steps) / steps + 0;
}

/** The strength after a key, or null when the key is not the slider's. Arrows move by 0.1, with Shift or by page by 1. */
export function strengthAfterKey(value: number, key: string, shift: boolean): number | null {
  const inside = (next: number) => Math.min(strengthRange.max, Math.max(strengthRange.min, Math.round(next * 100) / 100)) + 0;
  const step = shift ? 1 : 0.1;
  switch (key) {
    case "ArrowRight":
    case "ArrowUp":
      return inside(value + step);
    case "ArrowLeft":
    case "ArrowDown":
      return inside(value - step);
    case "PageUp":
      return inside(value + 1);
    case "PageDown":
      return inside(value - 1);
    case "Home":
      return strengthRange.min;
    case "End":
      return strengthRange.max;
    default:
      return null;
  }
}

/** The stretch that holds the middle four fifths of a feature's activations, as shares of its maximum; null for an empty histogram. */
export function typicalRange(histogram: { edges: number[]; counts: number[] }): [low: number, high: number] | null {
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  const max = histogram.edges.at(-1) ?? 0;
  if (total === 0 || !(max > 0)) return null;
  const quantile = (share: number) => {
    let seen = 0;
    for (const [i, count] of histogram.counts.entries()) {
      const from = histogram.edges[i] ?? 0;
      const to = histogram.edges[i + 1] ?? max;
      if (count > 0 && seen + count >= share * total) return (from + ((share * total - seen) / count) * (to - from)) / max;
      seen += count;
    }
    return 1;
  };
  return [quantile(0.1), quantile(0.9)];
}
