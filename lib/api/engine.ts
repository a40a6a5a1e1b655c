/** `GET /api/engine`: what a tab needs to run a model by itself, and the names of all features. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { enginePackageSchema } from "@/lib/core/engine-package";
import { dictionaryRefSchema, sha256Schema } from "@/lib/core/protocol";
import { analysedFeatureSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const engineQuerySchema = z.strictObject({ dictionary: dictionaryRefSchema });

export const engineFileParamsSchema = z.strictObject({ sha256: sha256Schema, name: z.string().max(255) });

export const featureNamesSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** Of the dictionary's weights. */
  sha256: sha256Schema,
  /** In the order of their indices; features that the catalogue lacks are absent. */
  items: z.array(analysedFeatureSchema.omit({ mean: true, peak: true, map: true })),
});
export type FeatureNames = z.infer<typeof featureNamesSchema>;

export function enginePackageQueryOptions(ref: string) {
  return queryOptions({
    queryKey: ["engine", ref],
    queryFn: ({ signal }) => fetchJson(enginePackageSchema.nullable(), routes.api.engine(ref), { signal }),
    staleTime: 300_000,
    retry: false,
  });
}

export function featureNamesQueryOptions(ref: string) {
  return queryOptions({
    queryKey: ["engine-names", ref],
    queryFn: ({ signal }) => fetchJson(featureNamesSchema, routes.api.engineNames(ref), { signal }),
    staleTime: 300_000,
  });
}
