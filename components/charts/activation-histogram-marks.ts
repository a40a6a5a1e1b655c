/** Where the marks of an activation histogram lie. Pure; counts are drawn on a logarithmic height because they span decades. */
export interface HistogramBar {
  x: number;
  y: number;
  width: number;
  height: number;
  count: number;
  from: number;
  to: number;
}

export interface Histogram {
  /** One more than `counts`; ascending activations. */
  edges: number[];
  counts: number[];
}

/** The logarithm's last digits are the engine's own: what the server draws and what the browser draws must be the same text. */
const toHundredths = (px: number) => Math.round(100 * px) / 100;

/** Bars in a box of `width × height` px, one px apart, to hundredths; an occupied bin is at least 2 px high. */
export function histogramBars(histogram: Histogram, width: number, height: number): HistogramBar[] {
  const { edges, counts } = histogram;
  const low = edges[0] ?? 0;
  const high = edges[edges.length - 1] ?? 1;
  const span = high - low || 1;
  const tallest = Math.log1p(counts.reduce((most, count) => Math.max(most, count), 0)) || 1;
  return counts.map((count, i) => {
    const from = edges[i] ?? low;
    const to = edges[i + 1] ?? high;
    const left = ((from - low) / span) * width;
    const right = ((to - low) / span) * width;
    const tall = count > 0 ? Math.max(2, toHundredths((Math.log1p(count) / tallest) * height)) : 0;
    return { x: left, y: toHundredths(height - tall), width: Math.max(1, right - left - 1), height: tall, count, from, to };
  });
}

/** Where `value` falls, in px from the left edge; clamped to the box. */
export function histogramX(histogram: Histogram, value: number, width: number): number {
  const low = histogram.edges[0] ?? 0;
  const high = histogram.edges[histogram.edges.length - 1] ?? 1;
  return Math.min(width, Math.max(0, ((value - low) / (high - low || 1)) * width));
}

/** Share of the counted activations below `value`, 0..1, taking each bin as evenly filled; null for an empty histogram. */
export function shareBelow(histogram: Histogram, value: number): number | null {
  const total = histogram.counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  histogram.counts.forEach((count, i) => {
    const from = histogram.edges[i] ?? 0;
    const to = histogram.edges[i + 1] ?? from;
    if (value >= to) below += count;
    else if (value > from) below += (count * (value - from)) / (to - from);
  });
  return below / total;
}
