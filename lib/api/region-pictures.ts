/** `GET /api/region-pictures`: pictures of the catalogue on which some features fire in a painted region. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { dictionaryRefSchema, featureIndexSchema, sha256Schema } from "@/lib/core/protocol";
import { imageExampleSchema } from "@/lib/core/records";
import { decodeRegion, longestCode, type Region } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

/** Features of one question. */
export const mostSought = 16;

export const regionPicturesQuerySchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  features: z
    .string()
    .regex(/^\d{1,9}(,\d{1,9})*$/, "whole numbers with commas between")
    .transform((text) => [...new Set(text.split(",").map(Number))])
    .pipe(z.array(featureIndexSchema).max(mostSought, `at most ${mostSought} features`))
    .describe(`Indices of features, at most ${mostSought}, with commas between`),
  region: z
    .string()
    .max(longestCode, `at most ${longestCode} characters`)
    .transform((code, context): Region => {
      const region = decodeRegion(code);
      if (region) return region;
      context.addIssue({ code: "custom", message: "not a region's code, or one of nothing" });
      return z.NEVER;
    })
    .describe(
      "<rows>x<cols> of the grid, then the lengths of runs of samples (4 × 4 a cell, row-major), outside and inside by turns and beginning outside, in base 36 after a dot each",
    ),
  without: sha256Schema.optional().describe("A picture to leave out: the one that the region was painted on"),
  limit: z.coerce.number().int().min(1).max(48).default(12),
});

/** One of the features on one of the pictures. */
export const foundFeatureSchema = z.strictObject({
  index: z.number().int(),
  /** Means over the region and over the rest of the picture, in raw activation. */
  inside: z.number(),
  outside: z.number(),
  ...imageExampleSchema.omit({ image: true }).shape,
});

export const regionPicturesSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** What was looked through: stored examples of the features, and the different pictures that these lie on; out of all pictures of the catalogue. */
  examined: z.strictObject({ examples: z.number().int(), pictures: z.number().int(), catalogue: z.number().int().optional() }),
  /** Pictures on which at least one of the features fires in the region. */
  total: z.number().int(),
  items: z.array(
    z.strictObject({
      image: sha256Schema,
      caption: z.string().nullable(),
      /** Mean over the features asked for of inside / the feature's maximum, 0..1; one without a stored example on the picture counts as 0. */
      score: z.number(),
      /** Those that fire in the region, the greatest inside / maximum first. */
      features: z.array(foundFeatureSchema),
    }),
  ),
});
export type RegionPictures = z.infer<typeof regionPicturesSchema>;
export type FoundPicture = RegionPictures["items"][number];

export interface RegionQuestion {
  dictionary: string;
  features: readonly number[];
  /** As `encodeRegion` writes it. */
  region: string;
  without?: string;
}

export function regionPicturesQueryOptions({ dictionary, features, region, without }: RegionQuestion) {
  const sorted = features.toSorted((a, b) => a - b);
  return queryOptions({
    queryKey: ["region-pictures", dictionary, sorted, region, without ?? null],
    queryFn: ({ signal }) =>
      fetchJson(regionPicturesSchema, routes.api.regionPictures({ dictionary, features: sorted.join(","), region, without }), { signal }),
    staleTime: 300_000,
  });
}
