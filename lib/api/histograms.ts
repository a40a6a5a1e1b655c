/** `GET /api/histograms?dictionary=`: how a dictionary's metrics are distributed, to brush in the filters. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { dictionaryRefSchema } from "@/lib/core/protocol";
import { type Histograms, histogramsSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { featureQuerySchema } from "./feature";
import { fetchJson } from "./fetch-json";

/** Names the one dictionary that a query is about. */
export const histogramsQuerySchema = z.strictObject({ dictionary: dictionaryRefSchema, ...featureQuerySchema.shape });

export function fetchHistograms(ref: string, version?: string, signal?: AbortSignal): Promise<Histograms> {
  return fetchJson(histogramsSchema, routes.api.histograms(ref, version), { signal });
}

export function histogramsQueryOptions(ref: string, version?: string) {
  return queryOptions({
    queryKey: ["histograms", ref, version ?? null],
    queryFn: ({ signal }) => fetchHistograms(ref, version, signal),
    staleTime: 300_000,
  });
}
