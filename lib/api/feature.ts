/** `GET /api/features/<model>/<dictionary>/<index>`: one feature with its examples, explanations and neighbours. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { type FeatureDetail, featureDetailSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

const part = z.string().regex(/^[\w.-]+$/, "letters, digits, '.', '_' and '-' only");

/** The address's parts. */
export const featureParamsSchema = z.strictObject({
  model: part,
  dictionary: part,
  index: z
    .string()
    .regex(/^\d{1,9}$/, "a whole number")
    .transform(Number),
});

export const featureQuerySchema = z.strictObject({
  v: z
    .string()
    .regex(/^[0-9a-f]{12}$/, "12 hexadecimal digits")
    .optional(),
});

/** `v`: the first 12 hexadecimal digits of the dictionary's hash, to pin a version. */
export interface FeatureParams {
  v?: string;
}

export function fetchFeature(ref: string, index: number, params: FeatureParams = {}, signal?: AbortSignal): Promise<FeatureDetail> {
  return fetchJson(featureDetailSchema, routes.api.feature(ref, index, params), { signal });
}

export function featureQueryOptions(ref: string, index: number, params: FeatureParams = {}) {
  return queryOptions({
    queryKey: ["feature", ref, index, params.v ?? null],
    queryFn: ({ signal }) => fetchFeature(ref, index, params, signal),
    staleTime: 300_000,
  });
}
