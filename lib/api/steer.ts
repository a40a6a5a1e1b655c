/** `POST /api/steer`: a generate request in, the engine's events out, one a line. */
import { FacetError } from "@/lib/core/errors";
import { type EngineEvent, eventSchema, type GenerateRequestInput } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { errorFromResponse } from "./fetch-json";
import { readNdjson } from "./ndjson";

/**
 * Runs a request and yields its events up to and with `done`. An `error` event is thrown as the `FacetError` that it names, so callers have one
 * place for failures; so is an answer that breaks off. Leaving the loop, or aborting, stops the engine.
 */
export async function* streamSteer(
  request: GenerateRequestInput,
  { signal }: { signal?: AbortSignal } = {},
): AsyncGenerator<EngineEvent, void, void> {
  let response: Response;
  try {
    response = await fetch(routes.api.steer(), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
      signal,
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new FacetError("engine_unavailable", "The Facet server does not answer.", {
      fix: "Check that it still runs, then run again.",
      cause,
    });
  }
  if (!response.ok || !response.body) throw await errorFromResponse(response);
  yield* checkedEvents(response.body, signal);
}

async function* checkedEvents(body: ReadableStream<Uint8Array>, signal: AbortSignal | undefined): AsyncGenerator<EngineEvent, void, void> {
  try {
    for await (const event of readNdjson(eventSchema, body)) {
      if (event.type === "error") throw new FacetError(event.error.code, event.error.message, { fix: event.error.fix });
      yield event;
      if (event.type === "done") return;
    }
  } catch (cause) {
    if (cause instanceof FacetError || signal?.aborted) throw cause;
    throw brokenOff(cause);
  }
  throw brokenOff();
}

function brokenOff(cause?: unknown): FacetError {
  return new FacetError("engine_failed", "The answer broke off before it was complete.", { cause });
}
