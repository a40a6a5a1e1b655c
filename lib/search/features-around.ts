/** The features before and after one in a searched, filtered and sorted list. */
import type { Database } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { type Around, around } from "@/lib/catalog/feature-around";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { type ListOptions, matchOf } from "./list-features";
import { parseSearch } from "./parse";

/** Throws `dictionary_not_found` and `version_mismatch`. */
export async function featuresAround(db: Database, query: FeatureQuery, index: number, options: ListOptions = {}): Promise<Around> {
  const { id, dictionary } = await locateDictionary(db, query.dictionary, query.version);
  const parsed = parseSearch(query.q);
  return around(db, id, query, await matchOf(db, parsed, id, dictionary, options.embedder), index);
}
