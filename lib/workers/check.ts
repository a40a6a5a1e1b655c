/** What is wrong with the workers, for `facet doctor`. */
import type { Worker } from "./worker";
import { workers } from "./workers";

export interface WorkerFinding {
  ok: boolean;
  /** One sentence. */
  what: string;
  /** What to do, where something is wrong. */
  fix: string | null;
}

/** A line a worker; none where none is named. The token is in none. */
export async function checkWorkers(all: Worker[] = workers()): Promise<WorkerFinding[]> {
  return Promise.all(
    all.map(async (worker) => {
      const { info, failure } = await worker.state();
      if (failure) {
        const cause = failure.cause instanceof Error ? ` (${failure.cause.message.split("\n")[0]})` : "";
        return { ok: false, what: `${worker.url}: ${failure.message}${cause}`, fix: failure.fix };
      }
      const refs = info.dictionaries.map(({ dictionary }) => dictionary.ref).join(", ");
      return { ok: true, what: `The worker at ${worker.url} answers: ${refs}, in ${info.dtype} on ${info.device}.`, fix: null };
    }),
  );
}
