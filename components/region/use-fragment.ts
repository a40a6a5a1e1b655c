"use client";
import { useCallback, useSyncExternalStore } from "react";
import type { HistoryStep } from "@/components/steer/use-address";

const listeners = new Set<() => void>();
const outside = ["popstate", "hashchange"] as const;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  for (const type of outside) window.addEventListener(type, listener);
  return () => {
    listeners.delete(listener);
    for (const type of outside) window.removeEventListener(type, listener);
  };
}

/** What the address keeps after its `#`, which no browser sends to a server, as text with the `#`. Null takes a key away. */
export function useFragment(): [fragment: string, set: (values: Record<string, string | null>, step?: HistoryStep) => void] {
  const fragment = useSyncExternalStore(
    subscribe,
    () => location.hash,
    () => "",
  );
  const set = useCallback((values: Record<string, string | null>, step: HistoryStep = "replace") => {
    const next = new URLSearchParams(location.hash.slice(1));
    for (const [key, value] of Object.entries(values)) {
      if (value === null) next.delete(key);
      else next.set(key, value);
    }
    const text = next.toString();
    if (text === new URLSearchParams(location.hash.slice(1)).toString()) return;
    const address = `${location.pathname}${location.search}${text && `#${text}`}`;
    if (step === "push") history.pushState(null, "", address);
    else history.replaceState(null, "", address);
    for (const listener of [...listeners]) listener();
  }, []);
  return [fragment, set];
}
