/** Scales and marks of a dose curve: shares between 0 and 1 against a strength. */
import { line, scaleLinear, scaleSymlog } from "d3";

export interface DoseScales {
  x: (strength: number) => number;
  y: (share: number) => number;
}

/**
 * x is logarithmic away from zero on both sides, so that 1 and 2 are as far apart as 8 and 16 are, nearly; strengths of another size (raw activations) are
 * first brought to that one. y goes from 0 at the bottom to 1 at the top.
 */
export function doseScales(strengths: readonly number[], width: number, height: number): DoseScales {
  const least = Math.min(...strengths);
  const most = Math.max(...strengths);
  const sizes = strengths.map(Math.abs).filter((size) => size > 0);
  const constant = sizes.length ? Math.min(...sizes) : 1;
  const x = scaleSymlog()
    .constant(constant)
    .domain(least === most ? [least - 1, most + 1] : [least, most])
    .range([0, width]);
  const y = scaleLinear().domain([0, 1]).range([height, 0]).clamp(true);
  return { x, y };
}

/** An SVG path through the points that have a value; it breaks where one has none. */
export function dosePath(points: readonly { value: number; share: number | null }[], { x, y }: DoseScales): string {
  const draw = line<{ value: number; share: number | null }>()
    .defined(({ share }) => share !== null)
    .x(({ value }) => x(value))
    .y(({ share }) => y(share ?? 0));
  return draw([...points]) ?? "";
}

/** Stretches of x around broken points, each half-way to its neighbours; neighbours share one. Points are in order of strength. */
export function brokenZones(
  points: readonly { value: number; broken: boolean }[],
  x: DoseScales["x"],
  width: number,
): { x: number; width: number }[] {
  const zones: { x: number; width: number }[] = [];
  points.forEach(({ value, broken }, i) => {
    if (!broken) return;
    const before = points[i - 1];
    const after = points[i + 1];
    const from = before ? (x(before.value) + x(value)) / 2 : 0;
    const to = after ? (x(after.value) + x(value)) / 2 : width;
    const last = zones.at(-1);
    if (last && before?.broken) last.width = to - last.x;
    else zones.push({ x: from, width: to - from });
  });
  return zones;
}

/** The place of the point nearest to a pointer at `at`. */
export function nearestPoint(points: readonly { value: number }[], x: DoseScales["x"], at: number): number {
  let best = 0;
  points.forEach(({ value }, i) => {
    if (Math.abs(x(value) - at) < Math.abs(x(points[best]?.value ?? 0) - at)) best = i;
  });
  return best;
}
