"use client";
import { useCallback, useSyncExternalStore } from "react";
import { type Preference, type PreferenceKey, preferences } from "./preference-keys";

const cookieName = (key: PreferenceKey) => `facet-${key}`;
const yearSeconds = 365 * 24 * 3600;
const listeners = new Set<() => void>();

function choose<K extends PreferenceKey>(key: K, value: string | undefined): Preference<K> {
  const options: readonly string[] = preferences[key];
  return (value !== undefined && options.includes(value) ? value : options[0]) as Preference<K>;
}

function fromDocument<K extends PreferenceKey>(key: K): Preference<K> {
  const found = new RegExp(`(?:^|; )${cookieName(key)}=([^;]*)`).exec(document.cookie);
  return choose(key, found?.[1]);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** `initial` is what the server rendered with. */
export function usePreference<K extends PreferenceKey>(key: K, initial: Preference<K>): [Preference<K>, (value: Preference<K>) => void] {
  const value = useSyncExternalStore(
    subscribe,
    () => fromDocument(key),
    () => initial,
  );
  const write = useCallback(
    (next: Preference<K>) => {
      // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser yet
      document.cookie = `${cookieName(key)}=${next}; path=/; max-age=${yearSeconds}; samesite=lax`;
      for (const listener of listeners) listener();
    },
    [key],
  );
  return [value, write];
}
