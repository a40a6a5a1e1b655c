"use client";
import { useSyncExternalStore } from "react";

/** Which of the shell's two overlays is open; any component may open one. */
export type Overlay = "palette" | "keys" | null;

let open: Overlay = null;
const listeners = new Set<() => void>();

export function setOverlay(next: Overlay): void {
  open = next;
  for (const listener of listeners) listener();
}

export function useOverlay(): Overlay {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => open,
    () => null,
  );
}
