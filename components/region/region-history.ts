/** A painted region with its past: every stroke can be taken back and done again. Pure. */
import { emptyRegion, paintShape, type Region, type Shape, sameRegion } from "@/lib/core/region";

/** Strokes that can be taken back. */
const longestPast = 200;

export interface RegionHistory {
  past: readonly Region[];
  now: Region;
  /** What was taken back, the next to be done again first. */
  future: readonly Region[];
}

export type RegionAction =
  | { do: "start"; region: Region }
  | { do: "paint"; shape: Shape; erase: boolean }
  | { do: "clear" }
  | { do: "undo" }
  | { do: "redo" };

export const startHistory = (region: Region): RegionHistory => ({ past: [], now: region, future: [] });

function go(history: RegionHistory, next: Region): RegionHistory {
  // A stroke that changes nothing is none to take back.
  if (sameRegion(history.now, next)) return history;
  return { past: [...history.past, history.now].slice(-longestPast), now: next, future: [] };
}

export function changeRegion(history: RegionHistory, action: RegionAction): RegionHistory {
  const { past, now, future } = history;
  switch (action.do) {
    case "start":
      return startHistory(action.region);
    case "paint":
      return go(history, paintShape(now, action.shape, action.erase));
    case "clear":
      return go(history, emptyRegion(now.rows, now.cols));
    case "undo": {
      const last = past.at(-1);
      return last ? { past: past.slice(0, -1), now: last, future: [now, ...future] } : history;
    }
    case "redo": {
      const [next, ...rest] = future;
      return next ? { past: [...past, now], now: next, future: rest } : history;
    }
  }
}
