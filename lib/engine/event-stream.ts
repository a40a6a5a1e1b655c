import { asFacetError, type FacetError } from "@/lib/core/errors";
import type { EngineEvent } from "@/lib/core/protocol";

/**
 * Waits for an engine's first event, so that what is refused at once is thrown here and can be answered with a status. Later failures end the stream with
 * an `error` event; `onError` is told of them.
 */
export async function openEventStream(
  events: AsyncIterable<EngineEvent>,
  onError: (error: FacetError) => void,
): Promise<AsyncGenerator<EngineEvent, void, void>> {
  const iterator = events[Symbol.asyncIterator]();
  const first = await iterator.next();
  return (async function* () {
    try {
      for (let next = first; !next.done; next = await iterator.next()) yield next.value;
    } catch (thrown) {
      const error = asFacetError(thrown);
      onError(error);
      yield { type: "error", error: error.toJSON() } as const;
    } finally {
      await iterator.return?.();
    }
  })();
}
