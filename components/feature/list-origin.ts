/** The list a reader came from, carried in the address as `from` (the list's own query string). Pure. */
import { fromParam, listParams } from "@/components/search/list-url";
import { inSentence, sortNames } from "@/components/search/metrics";
import { defaultSort, type FeatureQuery, parseFeatureQuery, type Sort } from "@/lib/core/feature-query";
import { formatNoun } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import { withUsualSort } from "@/lib/core/usual-sort";

/**
 * The query of the list; the whole list in its usual order where there is none, or where it is not one (an old or edited link). Without its
 * place. `usual`: the dictionary's order where a list names none.
 */
export function originQuery(ref: string, from: string | null, usual: Sort = defaultSort("")): FeatureQuery {
  let query: FeatureQuery;
  try {
    const params = new URLSearchParams(from ?? "");
    query = withUsualSort(parseFeatureQuery(params), Boolean(params.get("sort")), usual);
  } catch {
    query = { ...parseFeatureQuery({}), ...usual };
  }
  return { ...query, dictionary: ref, limit: 1, cursor: null };
}

/** `from` again, in its one canonical form; undefined for the whole list in its usual order. */
export function originParam(query: FeatureQuery): string | undefined {
  return fromParam(query) || undefined;
}

export function originHref(query: FeatureQuery): string {
  return routes.dictionary(query.dictionary, listParams(query));
}

/** "312 features · “yellow fruit” · by IoU". */
export function originWords(query: FeatureQuery, total: number | null): string {
  const filters =
    query.concepts.length + Object.keys(query.ranges).length + Object.keys(query.flags).length + (query.scoredBy.length ? 1 : 0);
  return [
    total === null ? "All features" : formatNoun(total, "feature"),
    query.q ? `“${query.q}”` : null,
    filters > 0 ? formatNoun(filters, "filter") : null,
    `by ${inSentence(sortNames[query.sort])}`,
  ]
    .filter((word) => word !== null)
    .join(" · ");
}
