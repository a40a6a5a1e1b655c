/** `GET /api/traits`: names of some features with what was measured of them that a ranking may leave them out for. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { attributionLimits } from "@/lib/core/attribution";
import { dictionaryRefSchema, featureIndexSchema } from "@/lib/core/protocol";
import { analysedFeatureSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const featureTraitsSchema = z.strictObject({
  ...analysedFeatureSchema.omit({ mean: true, peak: true, map: true }).shape,
  /** Active on the same few cells whatever the picture: its strongest five maps have a mean cosine of .8 or more, over at most half of the grid. */
  positional: z.boolean(),
});
export type FeatureTraits = z.infer<typeof featureTraitsSchema>;

export const traitsPageSchema = z.strictObject({ items: z.array(featureTraitsSchema) });

/** Query: `indices` are features' indices with commas between. */
export const traitsQuerySchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  v: z
    .string()
    .regex(/^[0-9a-f]{12}$/, "12 hexadecimal digits")
    .optional()
    .describe("First 12 hexadecimal digits of the hash of the dictionary's weights"),
  indices: z
    .string()
    .regex(/^\d{1,9}(,\d{1,9})*$/, "whole numbers with commas between")
    .transform((text) => text.split(",").map(Number))
    .pipe(z.array(featureIndexSchema).max(attributionLimits.rows, `at most ${attributionLimits.rows} features`)),
});

export function traitsQueryOptions(dictionary: string, indices: readonly number[], v?: string) {
  const sorted = indices.toSorted((a, b) => a - b);
  return queryOptions({
    queryKey: ["traits", dictionary, v ?? null, sorted],
    queryFn: async ({ signal }) =>
      (await fetchJson(traitsPageSchema, routes.api.traits({ dictionary, v, indices: sorted.join(",") }), { signal })).items,
    staleTime: 300_000,
  });
}
