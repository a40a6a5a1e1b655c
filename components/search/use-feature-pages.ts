"use client";
import { keepPreviousData, useInfiniteQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { featuresInfiniteOptions } from "@/lib/api/features";
import type { FeatureQuery } from "@/lib/core/feature-query";
import type { FeatureCard, Meaning } from "@/lib/core/records";
import { listKey as keyOf } from "./list-url";

/** The words that are searched for: a moment behind the typing, so that not every letter is a request. */
export function useSettled<T>(value: T, delayMs: number): T {
  const [settled, setSettled] = useState(value);
  // A timer of the browser.
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delayMs);
    return () => clearTimeout(timer);
  }, [value, delayMs]);
  return settled;
}

export interface FeaturePages {
  items: FeatureCard[];
  /** For each item, the cursor of its page: what the address says of a place. */
  cursorOf: (position: number) => string | null;
  /** Features that pass; null until known. */
  total: number | null;
  /** Whether the search went by meaning; null where nothing was asked for so, or until known. */
  meaning: Meaning | null;
  hasNext: boolean;
  hasPrevious: boolean;
  fetchNext: () => void;
  fetchPrevious: () => void;
  /** The first answer is awaited. */
  pending: boolean;
  /** What is shown answers an earlier question. */
  stale: boolean;
  error: Error | null;
  retry: () => void;
  /** Changes when the list is another list. */
  listKey: string;
}

/**
 * The loaded part of a list, which grows both ways. It begins where the address pointed when the list was opened; later changes of the
 * cursor in the address only note the place and do not begin anew.
 */
export function useFeaturePages(query: FeatureQuery): FeaturePages {
  const listKey = keyOf(query);
  const client = useQueryClient();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the cursor counts only at the moment when the list becomes another one
  const options = useMemo(() => {
    const options = featuresInfiniteOptions(query);
    const cached = client.getQueryData(options.queryKey);
    if (cached && query.cursor && !cached.pageParams.includes(query.cursor)) client.removeQueries({ queryKey: options.queryKey });
    return options;
  }, [listKey]);
  const result = useInfiniteQuery({ ...options, placeholderData: keepPreviousData });
  const { pages, pageParams } = result.data ?? { pages: [], pageParams: [] };
  const items = useMemo(() => pages.flatMap((page) => page.items), [pages]);
  const starts = useMemo(() => {
    let start = 0;
    return pages.map((page) => {
      const own = start;
      start += page.items.length;
      return own;
    });
  }, [pages]);
  return {
    items,
    cursorOf: (position) => {
      const page = starts.findLastIndex((start) => start <= position);
      return (pageParams[page] as string | null | undefined) ?? null;
    },
    total: pages[0]?.total ?? null,
    meaning: pages[0]?.meaning ?? null,
    hasNext: result.hasNextPage,
    hasPrevious: result.hasPreviousPage,
    fetchNext: () => {
      if (result.hasNextPage && !result.isFetching && !result.isFetchNextPageError) void result.fetchNextPage();
    },
    fetchPrevious: () => {
      if (result.hasPreviousPage && !result.isFetching && !result.isFetchPreviousPageError) void result.fetchPreviousPage();
    },
    pending: result.isPending,
    stale: result.isPlaceholderData,
    error: result.error,
    retry: () =>
      void (result.isFetchNextPageError
        ? result.fetchNextPage()
        : result.isFetchPreviousPageError
          ? result.fetchPreviousPage()
          : result.refetch()),
    listKey,
  };
}
