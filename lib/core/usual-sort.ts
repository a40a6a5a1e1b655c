/** The order of a dictionary's whole list where its address names none. Pure. */
import { defaultSort, type FeatureQuery, type Sort } from "./feature-query";
import { type Histograms, type MetricKey, metricKeys, scoreKeys } from "./records";

/** Metrics that at least one feature has. */
export function measuredIn(histograms: Histograms): MetricKey[] {
  return metricKeys.filter((key) => histograms.metrics[key]?.counts.some((count) => count > 0));
}

/** By steering effect; where no feature was steered with, by the first score that there is; where none is, by index. */
export function usualSort(measured: readonly MetricKey[]): Sort {
  const usual = defaultSort("");
  if ((measured as readonly string[]).includes(usual.sort)) return usual;
  const score = scoreKeys.find((key) => measured.includes(key));
  return score ? { sort: score, direction: "desc" } : { sort: "index", direction: "asc" };
}

/** The query as its address means it, which names a sort or leaves that to the dictionary. */
export function withUsualSort(query: FeatureQuery, named: boolean, usual: Sort): FeatureQuery {
  return named || query.q.trim() ? query : { ...query, ...usual };
}
