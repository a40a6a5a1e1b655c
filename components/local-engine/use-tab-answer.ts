"use client";
import { useQuery } from "@tanstack/react-query";
import { useEffect } from "react";
import type { FacetError } from "@/lib/core/errors";
import { failedInTab, lackedModel, useInTab } from "./in-tab";

interface Question<T> {
  /** What is asked, and of which model: another key is another question. */
  key: readonly (string | number | null)[];
  /** Null while there is nothing to ask. */
  ask: ((signal: AbortSignal) => Promise<T>) | null;
  /** The last answer stands until the next is here, where so many of the key's first parts are the same; absent: never. */
  keep?: number;
}

export interface TabAnswer<T> {
  data: T | undefined;
  /** Its place is taken by the panel's while the model itself could not be loaded. */
  error: FacetError | null;
  /** Why there is no answer yet, as a sentence; null where there is one, or nothing was asked. */
  waits: string | null;
  busy: boolean;
  retry: () => void;
}

/**
 * What the model in this tab says to a question: the same question is asked once, one that nobody waits for any more is stopped. One whose model
 * could not be loaded is asked again as soon as the model is here.
 */
export function useTabAnswer<T>({ key, ask, keep }: Question<T>): TabAnswer<T> {
  const state = useInTab();
  const query = useQuery<T, FacetError>({
    queryKey: ["in-tab", ...key],
    queryFn: async ({ signal }) => {
      if (!ask) throw new Error("There is nothing to ask.");
      try {
        return await ask(signal);
      } catch (thrown) {
        throw failedInTab(thrown);
      }
    },
    enabled: ask !== null,
    placeholderData: (last, asked) =>
      keep !== undefined && key.slice(0, keep).every((part, i) => part === asked?.queryKey[i + 1]) ? last : undefined,
    // What is in the browser needs no connection, and does not change.
    networkMode: "always",
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
    structuralSharing: false,
  });
  const { error, refetch } = query;
  const unloaded = error !== null && lackedModel(error);
  const again = unloaded && state.status === "ready";
  useEffect(() => {
    if (again) void refetch();
  }, [again, refetch]);
  const answered = query.data !== undefined && !query.isPlaceholderData;
  const shown = query.isFetching || (unloaded && state.status !== "idle") ? null : error;
  const loads = state.status === "loading" || state.status === "failed";
  return {
    data: query.data,
    error: shown,
    waits: ask === null || answered || shown ? null : loads ? "Looked at as soon as the model is here." : "Looking…",
    busy: query.isFetching,
    retry: () => void refetch(),
  };
}
