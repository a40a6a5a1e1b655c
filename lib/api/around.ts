/** The features before and after one in a list: with the page where a server draws it, `/api/around` in a copy of files. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { type FeatureQuery, featureQueryParams } from "@/lib/core/feature-query";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const aroundSchema = z.strictObject({
  previous: z.number().int().nullable(),
  next: z.number().int().nullable(),
  /** Features of the list. */
  total: z.number().int().nullable(),
});

export function aroundQueryOptions(query: FeatureQuery, index: number) {
  const params = { ...featureQueryParams(query), index };
  return queryOptions({
    queryKey: ["around", params],
    queryFn: ({ signal }) => fetchJson(aroundSchema, routes.api.around(params), { signal }),
  });
}
