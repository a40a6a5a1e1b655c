/** `GET /api/features`: a page of feature cards, sorted, filtered and searched. */
import { infiniteQueryOptions } from "@tanstack/react-query";
import { type FeatureQuery, featureQueryParams } from "@/lib/core/feature-query";
import { type FeaturePage, featurePageSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export function fetchFeatures(query: FeatureQuery, signal?: AbortSignal): Promise<FeaturePage> {
  return fetchJson(featurePageSchema, routes.api.features(featureQueryParams(query)), { signal });
}

/**
 * Pages of a list, both ways. The key leaves the cursor out: `query.cursor` says where the first page begins. To hydrate from the server:
 * `{ pages: [page], pageParams: [query.cursor] }`.
 */
export function featuresInfiniteOptions(query: FeatureQuery) {
  return infiniteQueryOptions({
    queryKey: ["features", featureQueryParams({ ...query, cursor: null })],
    queryFn: ({ pageParam, signal }) => fetchFeatures({ ...query, cursor: pageParam }, signal),
    initialPageParam: query.cursor,
    getNextPageParam: (page: FeaturePage) => page.next,
    getPreviousPageParam: (page: FeaturePage) => page.previous,
    staleTime: 300_000,
  });
}
