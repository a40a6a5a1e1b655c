/** Whether a feature is about a place: it is active on the same cells, whatever picture they are of. */
import type { SparseMap } from "./sparse-map";

/** Mean cosine of each two of a feature's maps from which on it counts as positional; between .5 and .8 there are hardly any. */
export const positionalFrom = 0.8;
/** One that is active on more of the grid than this is about the whole picture, such as its background. */
const broad = 0.5;
/** Two pictures may be alike by chance. */
const fewest = 3;

/** Mean cosine of each two of the maps, 0..1; null for fewer than `fewest` of them. */
export function sameness(maps: readonly SparseMap[]): number | null {
  if (maps.length < fewest) return null;
  let sum = 0;
  let pairs = 0;
  const lengths = maps.map(({ values }) => Math.sqrt(values.reduce((total, value) => total + value * value, 0)));
  const byPosition = maps.map(({ positions, values }) => new Map(Array.from(positions, (position, i) => [position, values[i] as number])));
  for (let a = 0; a < maps.length; a++) {
    for (let b = 0; b < a; b++) {
      let dot = 0;
      for (const [position, value] of byPosition[a] ?? []) dot += value * (byPosition[b]?.get(position) ?? 0);
      const size = (lengths[a] as number) * (lengths[b] as number);
      sum += size > 0 ? dot / size : 0;
      pairs += 1;
    }
  }
  return sum / pairs;
}

/** By its maps on the pictures on which it is most active, each over a grid of `cells`. */
export function isPositional(maps: readonly SparseMap[], cells: number): boolean {
  const alike = sameness(maps);
  if (alike === null || alike < positionalFrom) return false;
  const active = maps.reduce((sum, { positions }) => sum + positions.length, 0) / maps.length;
  return active <= broad * cells;
}
