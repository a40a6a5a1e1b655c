/** The list a reader came from, carried in the address as `from` (the list's own query string). Pure. */
import { fromParam, listParams } from "@/components/search/list-url";
import { type FeatureQuery, parseFeatureQuery } from "@/lib/core/feature-query";
import { formatNoun } from "@/lib/core/format";
import type { SortKey } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";

/** The query of the list; the whole list in its usual order where there is none, or where it is not one (an old or edited link). Without its place. */
export function originQuery(ref: string, from: string | null): FeatureQuery {
  let query: FeatureQuery;
  try {
    query = parseFeatureQuery(new URLSearchParams(from ?? ""));
  } catch {
    query = parseFeatureQuery({});
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

const sortNames: Record<SortKey, string> = {
  index: "index",
  relevance: "relevance",
  density: "density",
  text_density: "text density",
  max_activation: "maximum",
  mean_activation: "mean activation",
  image_share: "image share",
  iou: "IoU",
  steer: "steering effect",
  clip: "CLIP score",
  consistency: "consistency",
  detection: "detection",
  fuzzing: "fuzzing",
  images: "pictures",
};

/** "312 features · “yellow fruit” · by IoU". */
export function originWords(query: FeatureQuery, total: number | null): string {
  const filters =
    query.concepts.length + Object.keys(query.ranges).length + Object.keys(query.flags).length + (query.scoredBy.length ? 1 : 0);
  return [
    total === null ? "All features" : formatNoun(total, "feature"),
    query.q ? `“${query.q}”` : null,
    filters > 0 ? formatNoun(filters, "filter") : null,
    `by ${sortNames[query.sort]}`,
  ]
    .filter((word) => word !== null)
    .join(" · ");
}
