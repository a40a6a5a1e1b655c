/** The filters that are on, in words, each with what takes it off. Pure, for the chips and for a list that came out empty. */
import { defaultSort, type FeatureQuery } from "@/lib/core/feature-query";
import { flagKeys, metricKeys } from "@/lib/core/records";
import { flagNames, inSentence, metrics } from "./metrics";

export interface ActiveFilter {
  key: string;
  text: string;
  /** What to change to take it off. */
  without: Partial<FeatureQuery>;
}

/** The words that were searched for, in quotes; a long query by its beginning. */
export function quotedWords(q: string): string {
  const words = [...q.trim()];
  return `“${words.length > 60 ? `${words.slice(0, 59).join("")}…` : words.join("")}”`;
}

/** The search words are one of them only where `withSearch`: their own box shows them. */
export function activeFilters(query: FeatureQuery, { withSearch = false } = {}): ActiveFilter[] {
  const filters: ActiveFilter[] = [];
  if (withSearch && query.q.trim())
    filters.push({
      key: "q",
      text: `the words ${quotedWords(query.q)}`,
      without: { q: "", ...(query.sort === "relevance" && defaultSort("")) },
    });
  for (const concept of query.concepts) {
    filters.push({ key: `concept-${concept}`, text: concept, without: { concepts: query.concepts.filter((other) => other !== concept) } });
  }
  for (const key of metricKeys) {
    const range = query.ranges[key];
    if (!range) continue;
    const { [key]: _, ...rest } = query.ranges;
    const { name, format } = metrics[key];
    const text =
      range.min === undefined
        ? `${name} ≤ ${format(range.max ?? null)}`
        : range.max === undefined
          ? `${name} ≥ ${format(range.min)}`
          : `${name} ${format(range.min)} to ${format(range.max)}`;
    filters.push({ key, text, without: { ranges: rest } });
  }
  for (const key of flagKeys) {
    const flag = query.flags[key];
    if (flag === undefined) continue;
    const { [key]: _, ...rest } = query.flags;
    filters.push({ key, text: flag ? flagNames[key].name : `Not ${inSentence(flagNames[key].name)}`, without: { flags: rest } });
  }
  for (const key of query.scoredBy) {
    filters.push({
      key: `scored-${key}`,
      text: `Scored by ${inSentence(metrics[key].name)}`,
      without: { scoredBy: query.scoredBy.filter((other) => other !== key) },
    });
  }
  return filters;
}

/** The query with nothing but its dictionary and its words. */
export const noFilters: Partial<FeatureQuery> = { concepts: [], ranges: {}, flags: {}, scoredBy: [] };
