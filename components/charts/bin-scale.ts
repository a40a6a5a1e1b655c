/**
 * Between values and positions along a histogram whose bins are drawn equally wide, whatever their edges (densities span five orders of
 * magnitude, so their edges are not evenly spaced). A position is in bins: 0 is the first edge, `edges.length − 1` the last.
 */

/** Value → position, clamped to the ends. Needs at least two rising edges. */
export function positionOf(edges: readonly number[], value: number): number {
  const last = edges.length - 1;
  if (!(value > (edges[0] as number))) return 0;
  if (value >= (edges[last] as number)) return last;
  let bin = 0;
  while (bin < last - 1 && value >= (edges[bin + 1] as number)) bin++;
  const low = edges[bin] as number;
  return bin + (value - low) / ((edges[bin + 1] as number) - low);
}

/** Position → value. */
export function valueAt(edges: readonly number[], position: number): number {
  const last = edges.length - 1;
  const at = Math.min(last, Math.max(0, position));
  const bin = Math.min(last - 1, Math.floor(at));
  const low = edges[bin] as number;
  return low + (at - bin) * ((edges[bin + 1] as number) - low);
}

export interface Range {
  min?: number;
  max?: number;
}

/**
 * A filter's range as whole bins, outward; all bins where it is open. An edge counts as `binsToRange` writes it, so that what was brushed
 * comes back from the address as the same bins.
 */
export function rangeToBins(edges: readonly number[], range: Range | undefined): [low: number, high: number] {
  const last = edges.length - 1;
  const { min, max } = range ?? {};
  const low =
    min === undefined
      ? 0
      : Math.max(
          0,
          edges.findLastIndex((edge) => rounded(edge, Math.floor) <= min),
        );
  const at = max === undefined ? last : edges.findIndex((edge) => rounded(edge, Math.ceil) >= max);
  return [low, Math.max(low, at < 0 ? last : at)];
}

/** Whole bins as a filter's range; an end that reaches the histogram's is left open. Nothing when both do. */
export function binsToRange(edges: readonly number[], [low, high]: readonly [number, number]): Range | undefined {
  const last = edges.length - 1;
  const range: Range = {};
  // Rounded outward, so that a value on the edge stays inside.
  if (low > 0) range.min = rounded(edges[low] as number, Math.floor);
  if (high < last) range.max = rounded(edges[high] as number, Math.ceil);
  return range.min === undefined && range.max === undefined ? undefined : range;
}

/** To four significant digits, downward or upward: addresses stay short. */
function rounded(value: number, direction: (x: number) => number): number {
  if (value === 0) return 0;
  const digits = 3 - Math.floor(Math.log10(Math.abs(value)));
  // Through text: 10 ** digits is not exact for many digits.
  const scaled = Number(`${Number(value.toPrecision(12))}e${digits}`);
  return Number(`${direction(Number(scaled.toPrecision(12)))}e${-digits}`);
}
