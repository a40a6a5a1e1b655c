/** TopK latents of an image's cells, turned round: for each feature its map over the grid. */
import type { Codes } from "@/lib/core/clamp-arithmetic.mjs";
import type { ImageFeatures } from "../engine";

export function groupByFeature(codes: Codes, rows: number, cols: number, limit: number): ImageFeatures {
  const maps = new Map<number, { positions: number[]; values: number[]; sum: number; peak: number }>();
  const cells = rows * cols;
  for (let cell = 0; cell < cells; cell++) {
    for (let i = cell * codes.k; i < (cell + 1) * codes.k; i++) {
      const value = codes.values[i] as number;
      if (value <= 0) continue;
      const index = codes.indices[i] as number;
      const map = maps.get(index) ?? { positions: [], values: [], sum: 0, peak: 0 };
      map.positions.push(cell);
      map.values.push(value);
      map.sum += value;
      map.peak = Math.max(map.peak, value);
      maps.set(index, map);
    }
  }
  const features = [...maps]
    .sort(([a, { sum: left }], [b, { sum: right }]) => right - left || a - b)
    .slice(0, limit)
    .map(([index, { positions, values, sum, peak }]) => ({
      index,
      mean: sum / cells,
      peak,
      map: { positions: Uint16Array.from(positions), values: Float32Array.from(values) },
    }));
  return { rows, cols, total: maps.size, features };
}
