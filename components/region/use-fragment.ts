"use client";
import { useCallback, useState } from "react";

const read = (key: string): string | null =>
  typeof location === "undefined" ? null : new URLSearchParams(location.hash.slice(1)).get(key);

/** A value that the address keeps after its `#`, which no browser sends to a server. Null: not there. */
export function useFragment(key: string): [value: string | null, set: (value: string | null) => void] {
  const [value, setValue] = useState(() => read(key));
  const set = useCallback(
    (next: string | null) => {
      setValue(next);
      const fragment = new URLSearchParams(location.hash.slice(1));
      if (next === null) fragment.delete(key);
      else fragment.set(key, next);
      const text = fragment.toString();
      history.replaceState(null, "", `${location.pathname}${location.search}${text && `#${text}`}`);
    },
    [key],
  );
  return [value, set];
}
