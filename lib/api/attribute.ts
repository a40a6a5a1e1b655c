/** `POST /api/attribute`: an attribution request in, the engine's events out, one a line. */
import { type AttributionEvent, type AttributionRequestInput, attributionEventSchema } from "@/lib/core/attribution";
import { routes } from "@/lib/core/routes";
import { streamEvents } from "./event-stream";

/** Yields the events up to and with `done`, as `streamSteer` does. Leaving the loop, or aborting, stops the engine. */
export function streamAttribution(
  request: AttributionRequestInput,
  options: { signal?: AbortSignal } = {},
): AsyncGenerator<AttributionEvent, void, void> {
  return streamEvents(routes.api.attribute(), request, attributionEventSchema, options);
}
