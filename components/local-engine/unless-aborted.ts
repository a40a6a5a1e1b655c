import { FacetError } from "@/lib/core/errors";

/** What others may wait for too, as long as the signal lets one wait: the work itself goes on. Throws `cancelled` then, else as the work does. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody may be left to hear of its failure.
  work.catch(() => {});
  let leave = () => {};
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(new FacetError("cancelled", "The request was cancelled before it began."));
  });
  signal.addEventListener("abort", leave);
  try {
    if (signal.aborted) leave();
    return await Promise.race([left, work]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}
