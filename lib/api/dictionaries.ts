/** `GET /api/dictionaries`: every dictionary of the catalogue, its latest version. */
import { queryOptions } from "@tanstack/react-query";
import { z } from "zod";
import { FacetError } from "@/lib/core/errors";
import { type Dictionary, dictionarySchema } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { fetchJson } from "./fetch-json";

export const dictionariesSchema = z.strictObject({ items: z.array(dictionarySchema) });

export async function fetchDictionaries(signal?: AbortSignal): Promise<Dictionary[]> {
  return (await fetchJson(dictionariesSchema, routes.api.dictionaries(), { signal })).items;
}

export function dictionariesQueryOptions() {
  return queryOptions({
    queryKey: ["dictionaries"],
    queryFn: ({ signal }) => fetchDictionaries(signal),
    staleTime: 60_000,
  });
}

/** One dictionary by `<model>/<dictionary>`; fails with `dictionary_not_found`. */
export function dictionaryQueryOptions(ref: string) {
  return queryOptions({
    queryKey: ["dictionary", ref],
    queryFn: async ({ signal }) => {
      const found = (await fetchDictionaries(signal)).find((dictionary) => dictionary.ref === ref);
      if (!found) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref}".`);
      return found;
    },
    staleTime: 60_000,
  });
}
