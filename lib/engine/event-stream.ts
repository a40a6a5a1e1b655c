import { asFacetError, FacetError } from "@/lib/core/errors";

type Failure = { type: "error"; error: ReturnType<FacetError["toJSON"]> };

/**
 * Waits for an engine's first event, so that what is refused at once is thrown here and can be answered with a status. Later failures end the stream with
 * an `error` event; `onError` is told of them. When `signal` aborts, the engine's run is ended whether or not anybody reads on: a response
 * that is dropped unread would otherwise hold its place in the line for good.
 */
export async function openEventStream<E>(
  events: AsyncIterable<E>,
  onError: (error: FacetError) => void,
  signal: AbortSignal,
): Promise<AsyncGenerator<E | Failure, void, void>> {
  const iterator = events[Symbol.asyncIterator]();
  const end = () => {
    iterator.return?.().catch(() => {});
  };
  signal.addEventListener("abort", end, { once: true });
  let first: IteratorResult<E>;
  try {
    first = await iterator.next();
  } catch (error) {
    signal.removeEventListener("abort", end);
    throw error;
  }
  // Who left before there was a run to end is told to nobody by the signal any more.
  if (signal.aborted) {
    await iterator.return?.();
    throw new FacetError("cancelled", "The client left before its answer began.");
  }
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } catch (thrown) {
      const error = asFacetError(thrown);
      onError(error);
      yield { type: "error", error: error.toJSON() } as const;
    } finally {
      signal.removeEventListener("abort", end);
      await iterator.return?.();
    }
  })();
}
