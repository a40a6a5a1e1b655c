/** The workers that FACET_WORKER_URL names. */
import { env } from "@/lib/env";
import { Worker, type WorkerState } from "./worker";

// Development reloads and route bundles must not each ask anew, nor count requests apart.
const holder = globalThis as typeof globalThis & { facetWorkers?: { key: string; workers: Worker[] } };

export function workers(): Worker[] {
  const { urls, token } = env.workers;
  const key = JSON.stringify([urls, token]);
  if (holder.facetWorkers?.key === key) return holder.facetWorkers.workers;
  const patience = { connectMs: 3_000, infoMs: 10_000, runMs: env.enginePatienceMs, freshMs: 5_000, retryMs: 1_000 };
  const made = urls.map((url) => new Worker({ url: new URL(url), token }, patience));
  holder.facetWorkers = { key, workers: made };
  return made;
}

/** What a page says of a dictionary's engine; `other`: a worker serves other weights under its name, `unknown`: nobody answered who may serve it. */
export type WorkerSays = "ready" | "other" | "gone" | "unknown" | "none";

/**
 * Whether a worker serves a dictionary, as `engineFor` of lib/engine/registry.ts decides it: the first that answers and has the name, else the one that
 * had it before it was gone.
 */
export async function workerSays(ref: string, sha256: string, all: Worker[] = workers()): Promise<WorkerSays> {
  const states = await Promise.all(all.map((worker) => worker.glance()));
  const of = ({ info }: WorkerState) => info?.dictionaries.find(({ dictionary }) => dictionary.ref === ref)?.dictionary;
  const serving = states.find((state) => !state.failure && of(state));
  if (serving) return of(serving)?.sha256 === sha256 ? "ready" : "other";
  if (states.some((state) => state.failure && of(state)?.sha256 === sha256)) return "gone";
  return states.some((state) => state.info === null) ? "unknown" : "none";
}
