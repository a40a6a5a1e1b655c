/** `POST /api/analyse`: an image in, the features that fire on it out. */
import { queryOptions } from "@tanstack/react-query";
import type { z } from "zod";
import { type AnalyseRequest, analyseRequestSchema, limits } from "@/lib/core/protocol";
import { type Analysis, analysisSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

/** One upload in base64 and room for the rest. */
export const maxAnalyseBytes = Math.ceil((limits.uploadBytes * 4) / 3) + 64 * 1024;

export type AnalyseInput = z.input<typeof analyseRequestSchema>;

export function fetchAnalysis(request: AnalyseInput, signal?: AbortSignal): Promise<Analysis> {
  return fetchJson(analysisSchema, routes.api.analyse(), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
    signal,
  });
}

/** An image does not change, so neither do its features. */
export function analyseQueryOptions(input: AnalyseInput) {
  const request: AnalyseRequest = analyseRequestSchema.parse(input);
  return queryOptions({
    queryKey: ["analyse", request.dictionary, request.limit, request.image],
    queryFn: ({ signal }) => fetchAnalysis(request, signal),
    staleTime: 300_000,
  });
}
