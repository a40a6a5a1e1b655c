/** What the tab keeps over a reload: the request in the making and its last answers, both under the request's link text; the words of a save. */
import type { RunState } from "./run-state";

const draftKey = "facet-steer-draft";
const runsKey = "facet-steer-runs";
const wordsKey = "facet-steer-save";
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

/** What is typed to save a run with. */
export interface SaveWords {
  title: string;
  note: string;
}

/** Keeps the words typed for one run, the last one alone. */
export function keepWords(runId: string, words: SaveWords, store: Store = tabStore()): void {
  try {
    store.setItem(wordsKey, JSON.stringify({ runId, ...words }));
  } catch {
    // A full or forbidden store costs the words on reload, nothing else.
  }
}

/** The words typed for a run; empty ones where there are none. */
export function findWords(runId: string, store: Store = tabStore()): SaveWords {
  try {
    const kept = JSON.parse(store.getItem(wordsKey) ?? "null") as (Partial<SaveWords> & { runId?: string }) | null;
    if (kept?.runId === runId) return { title: String(kept.title ?? ""), note: String(kept.note ?? "") };
  } catch {
    // Not ours.
  }
  return { title: "", note: "" };
}
