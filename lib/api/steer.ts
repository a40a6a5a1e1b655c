/** `POST /api/steer`: a generate request in, the engine's events out, one a line. */
import { type EngineEvent, eventSchema, type GenerateRequestInput } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { streamEvents } from "./event-stream";

/** Runs a request; see `streamEvents`. */
export function streamSteer(
  request: GenerateRequestInput,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<EngineEvent, void, void> {
  return streamEvents(routes.api.steer(), request, eventSchema, options);
}
