/** What the home page shows, and the stories: drawn by the server where there is one, `/api/home` and `/api/stories` in a copy of files. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { experimentSummarySchema } from "@/lib/core/experiment";
import { dictionarySchema, featureCardSchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { keptStorySchema } from "@/lib/core/story";
import { fetchJson } from "./fetch-json";

export const homeSchema = z.strictObject({
  dictionaries: z.array(dictionarySchema),
  /** Searches of the first dictionary that find something, with how much. */
  examples: z.array(z.strictObject({ words: z.string(), total: z.number().int() })),
  /** Features worth opening, each with the number that says why. */
  highlights: z.array(z.strictObject({ dictionary: dictionarySchema, card: featureCardSchema, reason: z.string() })),
  stories: z.array(keptStorySchema),
  /** A saved experiment that shows a change. */
  saved: experimentSummarySchema.nullable(),
});
export type Home = z.infer<typeof homeSchema>;

export function homeQueryOptions() {
  return queryOptions({ queryKey: ["home"], queryFn: ({ signal }) => fetchJson(homeSchema, routes.api.home(), { signal }) });
}

export const storiesSchema = z.strictObject({ items: z.array(keptStorySchema) });

export function storiesQueryOptions() {
  return queryOptions({
    queryKey: ["stories"],
    queryFn: async ({ signal }) => (await fetchJson(storiesSchema, routes.api.stories(), { signal })).items,
  });
}
