/** What the tab keeps over a reload: the request in the making and its last answers, both under the request's link text. */
import type { RunState } from "./run-state";

const draftKey = "facet-steer-draft";
const runsKey = "facet-steer-runs";
/** Answers of that many requests; older ones go. */
const keptRuns = 12;

interface Store {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

const noStore: Store = { getItem: () => null, setItem: () => {} };

function tabStore(): Store {
  try {
    return globalThis.sessionStorage ?? noStore;
  } catch {
    return noStore;
  }
}

export function keepDraft(link: string, store: Store = tabStore()): void {
  try {
    store.setItem(draftKey, link);
  } catch {
    // A full or forbidden store costs the draft on reload, nothing else: the address holds it too.
  }
}

export const findDraft = (store: Store = tabStore()): string | null => store.getItem(draftKey);

function readRuns(store: Store): RunState[] {
  try {
    const runs: unknown = JSON.parse(store.getItem(runsKey) ?? "[]");
    return Array.isArray(runs) ? runs : [];
  } catch {
    return [];
  }
}

/** Keeps an ended run under its `key`, the newest first. */
export function keepRun(run: RunState, store: Store = tabStore()): void {
  const runs = [run, ...readRuns(store).filter((other) => other.key !== run.key)].slice(0, keptRuns);
  for (let count = runs.length; count > 0; count = Math.floor(count / 2)) {
    try {
      store.setItem(runsKey, JSON.stringify(runs.slice(0, count)));
      return;
    } catch {
      // Too full: fewer.
    }
  }
}

export const findRun = (key: string, store: Store = tabStore()): RunState | null => readRuns(store).find((run) => run.key === key) ?? null;
