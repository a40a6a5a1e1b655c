"use client";
import { useQueries } from "@tanstack/react-query";
import { SearchX } from "lucide-react";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { fetchFeatures } from "@/lib/api/features";
import { defaultSort, type FeatureQuery } from "@/lib/core/feature-query";
import { formatNoun } from "@/lib/core/format";
import { activeFilters, noFilters, quotedWords } from "./active-filters";
import { inSentence } from "./metrics";

interface NoResultsProps {
  query: FeatureQuery;
  setQuery: (change: Partial<FeatureQuery>) => void;
}

/** An empty list: what to drop, and how many features that brings. */
export function NoResults({ query, setQuery }: NoResultsProps) {
  const filters = activeFilters(query, { withSearch: true });
  const without = useQueries({
    queries: filters.map((filter) => ({
      queryKey: ["features-without", query.dictionary, filter.key, query],
      queryFn: ({ signal }: { signal: AbortSignal }) => fetchFeatures({ ...query, ...filter.without, limit: 1, cursor: null }, signal),
    })),
  });
  const choices = filters
    .map((filter, i) => ({ ...filter, total: without[i]?.data?.total ?? null }))
    .sort((a, b) => (b.total ?? 0) - (a.total ?? 0));
  const onlyWords = filters.length === 1 && filters[0]?.key === "q";
  const helps = choices.some((choice) => choice.total === null || choice.total > 0);
  if (filters.length === 0)
    return <EmptyState title="This dictionary has no features yet.">Import its bundle with `facet import` to see them here.</EmptyState>;
  return (
    <EmptyState
      icon={<SearchX aria-hidden />}
      title={onlyWords ? `No feature matches ${quotedWords(query.q)}.` : "No feature passes all of this."}
    >
      {helps ? (
        <>
          <p className="mb-3">{onlyWords ? "Try fewer or other words, or drop them:" : choices.length > 1 ? "Drop one:" : "Drop it:"}</p>
          <ul className="flex flex-col gap-2">
            {choices.map((choice) => (
              <li key={choice.key}>
                <Button
                  size="sm"
                  disabled={choice.total === 0}
                  onClick={() => setQuery(choice.without)}
                  className="h-auto min-h-8 whitespace-normal py-1"
                >
                  without {choice.key.startsWith("concept-") ? `the concept ${choice.text}` : inSentence(choice.text)}
                  <span className="num font-normal text-muted">{choice.total === null ? "…" : formatNoun(choice.total, "feature")}</span>
                </Button>
              </li>
            ))}
          </ul>
        </>
      ) : (
        <>
          <p className="mb-3">Dropping one filter is not enough.</p>
          <Button size="sm" onClick={() => setQuery({ ...noFilters, q: "", ...defaultSort("") })}>
            Drop all filters and words
          </Button>
        </>
      )}
    </EmptyState>
  );
}
