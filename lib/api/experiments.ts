/** `GET` and `POST /api/experiments`, and `GET /api/experiments/<id>`. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import {
  experimentIdSchema,
  experimentLimits,
  experimentSchema,
  experimentSummarySchema,
  type saveExperimentSchema,
} from "@/lib/core/experiment";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const experimentPageSchema = z.strictObject({
  /** The newest first. */
  items: z.array(experimentSummarySchema),
  next: z.string().nullable(),
  /** How many the search finds in all. */
  total: z.number().int(),
});
export type ExperimentPage = z.infer<typeof experimentPageSchema>;

/** Query of `/api/experiments`. `q` is looked for in titles, notes, questions, answers and the names of the clamped features. */
export const experimentsQuerySchema = z.strictObject({
  q: z.string().max(experimentLimits.search, `at most ${experimentLimits.search} characters`).default(""),
  limit: z.coerce.number().int().min(1).max(experimentLimits.page).default(20),
  cursor: z.string().max(100).nullable().default(null),
});
export type ExperimentsQuery = z.infer<typeof experimentsQuerySchema>;

export const experimentParamsSchema = z.strictObject({ id: experimentIdSchema });

export function fetchExperiments(query: Partial<ExperimentsQuery>, signal?: AbortSignal): Promise<ExperimentPage> {
  const { q, limit, cursor } = query;
  return fetchJson(experimentPageSchema, routes.api.experiments({ q: q || undefined, limit, cursor: cursor ?? undefined }), { signal });
}

export function experimentsInfiniteOptions(q: string) {
  return infiniteQueryOptions({
    queryKey: ["experiments", q],
    queryFn: ({ pageParam, signal }) => fetchExperiments({ q, cursor: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page: ExperimentPage) => page.next,
  });
}

/** One experiment, with what the engine streamed; fails with `experiment_not_found`. */
export function experimentQueryOptions(id: string) {
  return queryOptions({
    queryKey: ["experiment", id],
    queryFn: ({ signal }) => fetchJson(experimentSchema, routes.api.experiment(id), { signal }),
  });
}

/** Saves a finished run. Throws `run_not_found`, `image_not_found` where an uploaded picture was not given, `too_large`, `receipt_mismatch`. */
export function postExperiment(experiment: z.input<typeof saveExperimentSchema>): Promise<z.infer<typeof experimentSummarySchema>> {
  return fetchJson(experimentSummarySchema, routes.api.experiments(), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(experiment),
  });
}
