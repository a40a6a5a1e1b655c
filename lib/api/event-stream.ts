/** Asking an address that answers with a run's events, one a line. */
import type { z } from "zod";
import { type ErrorCode, FacetError } from "@/lib/core/errors";
import { errorFromResponse } from "./fetch-json";
import { readNdjson } from "./ndjson";

type StreamEvent = { type: string; error?: { code: ErrorCode; message: string; fix: string } };

/**
 * Sends a request and yields the answer's events up to and with `done`. An `error` event is thrown as the `FacetError` that it names, so callers have
 * one place for failures; so is an answer that breaks off. Leaving the loop, or aborting, stops the engine.
 */
export async function* streamEvents<S extends z.ZodType<StreamEvent>>(
  address: string,
  request: unknown,
  schema: S,
  { signal }: { signal?: AbortSignal } = {},
): AsyncGenerator<z.infer<S>, void, void> {
  let response: Response;
  try {
    response = await fetch(address, {
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
  yield* checkedEvents(response.body, schema, signal);
}

async function* checkedEvents<S extends z.ZodType<StreamEvent>>(
  body: ReadableStream<Uint8Array>,
  schema: S,
  signal: AbortSignal | undefined,
): AsyncGenerator<z.infer<S>, void, void> {
  try {
    for await (const event of readNdjson(schema, body)) {
      if (event.type === "error" && event.error) throw new FacetError(event.error.code, event.error.message, { fix: event.error.fix });
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
