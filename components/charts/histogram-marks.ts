/** Histograms as plain rectangles. */
export interface Bar {
  x: number;
  y: number;
  width: number;
  height: number;
  count: number;
}

/**
 * Bars of equal width over `width × height` pixels. Heights follow the square root of the count, so that small bins beside a large one
 * stay visible; a bin that is not empty is at least one pixel high.
 */
export function histogramBars(counts: readonly number[], width: number, height: number, { gap = 1 } = {}): Bar[] {
  const most = Math.sqrt(Math.max(1, ...counts));
  const step = width / Math.max(1, counts.length);
  return counts.map((count, i) => {
    const tall = count > 0 ? Math.max(1, (Math.sqrt(count) / most) * height) : 0;
    return { x: i * step, y: height - tall, width: Math.max(0.5, step - gap), height: tall, count };
  });
}
