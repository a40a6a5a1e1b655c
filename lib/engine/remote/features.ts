/** The answer of `POST /v1/features`. */
import { z } from "zod";
import { FacetError } from "@/lib/core/errors";
import type { ImageFeatures } from "../engine";

const count = z.number().int().min(0);
const mapSchema = z
  .object({ positions: z.array(count.max(65_535)), values: z.array(z.number()) })
  .refine(({ positions, values }) => positions.length === values.length, "as many positions as values");

const featuresSchema = z.object({
  rows: count,
  cols: count,
  total: count,
  features: z.array(z.object({ index: count, mean: z.number(), peak: z.number(), map: mapSchema })),
});

/** Throws `engine_failed`. */
export function parseFeatures(text: string): ImageFeatures {
  try {
    const { features, ...grid } = featuresSchema.parse(JSON.parse(text));
    return {
      ...grid,
      features: features.map(({ map, ...feature }) => ({
        ...feature,
        map: { positions: Uint16Array.from(map.positions), values: Float32Array.from(map.values) },
      })),
    };
  } catch (cause) {
    throw new FacetError("engine_failed", "The worker's answer is not what fires on a picture.", { cause });
  }
}
