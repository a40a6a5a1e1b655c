"use client";
import { debounce, parseAsString, useQueryStates } from "nuqs";
import { useCallback, useMemo } from "react";
import { useCurrentDictionary } from "@/components/shell/current-dictionary";
import type { FeatureQuery, Sort } from "@/lib/core/feature-query";
import { type ListUrl, listKeys, listParams, parseListUrl, sharedKeys, type View } from "./list-url";

const parsers = Object.fromEntries(listKeys.map((key) => [key, parseAsString]));

export interface ListState extends ListUrl {
  /** Changes filters or sort: a step that Back undoes. */
  setQuery: (change: Partial<FeatureQuery>) => void;
  /** Changes the words as they are typed: the first one is a step, the rest refine it. */
  setSearch: (words: string) => void;
  setView: (view: View) => void;
}

/** The list's state, which lives in the address and nowhere else; `usual`: the dictionary's order where the address names none. */
export function useListState(usual?: Sort): ListState {
  const { ref } = useCurrentDictionary();
  const [params, setParams] = useQueryStates(parsers, { history: "push", shallow: true, scroll: false });
  const url = useMemo(() => {
    try {
      return parseListUrl(ref ?? "", params, usual);
    } catch {
      // The server's page says what is wrong with the address; the shell around it goes on.
      return parseListUrl(ref ?? "", { q: params.q ?? "" }, usual);
    }
  }, [ref, params, usual]);

  const setQuery = useCallback(
    (change: Partial<FeatureQuery>) => {
      const next = listParams({ ...url.query, ...change });
      void setParams(Object.fromEntries([...sharedKeys, "at"].map((key) => [key, next[key] ?? null])));
    },
    [url.query, setParams],
  );
  const setSearch = useCallback(
    (words: string) => {
      void setParams(
        { q: words || null, cursor: null, at: null },
        url.query.q || !words ? { history: "replace", limitUrlUpdates: debounce(200) } : { history: "push" },
      );
    },
    [url.query, setParams],
  );
  const setView = useCallback((view: View) => void setParams({ view: view === "grid" ? null : view }, { history: "replace" }), [setParams]);
  return { ...url, setQuery, setSearch, setView };
}
