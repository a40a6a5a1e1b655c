"use client";
import { useEffect, useState } from "react";

/** The value once it has rested: what is typed need not be looked up letter by letter. */
export function useDebounced<T>(value: T, restMs = 150): T {
  const [rested, setRested] = useState(value);
  // Time is outside React.
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), restMs);
    return () => clearTimeout(timer);
  }, [value, restMs]);
  return rested;
}
