/** A worker's answer, line by line: every event is held against the contract before anybody sees it. */
import { z } from "zod";
import { type AttributionEvent, attributionEventSchema } from "@/lib/core/attribution";
import { FacetError } from "@/lib/core/errors";
import { armSchema, type EngineEvent, eventSchema } from "@/lib/core/protocol";
import { brokenOff } from "@/lib/workers/http";
import { workerError } from "@/lib/workers/refusal";
import type { Tap } from "../engine";

/** A line of a tap holds the states of a whole prompt; every other is some kilobytes. */
const longestLine = 64 * 1024 * 1024;

const floats = z.base64().transform((text) => {
  const bytes = Buffer.from(text, "base64");
  // The bytes may lie anywhere in a larger buffer, and numbers only at multiples of four.
  return new Float32Array(Uint8Array.from(bytes).buffer, 0, Math.floor(bytes.byteLength / 4));
});
const count = z.number().int().min(0);
const tapSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("tap_hidden"),
    arm: armSchema,
    first: count,
    rows: count,
    width: count,
    hidden: floats,
    output: floats,
  }),
  z.strictObject({ type: z.literal("tap_logits"), arm: armSchema, i: count, logits: floats }),
]);
const lineSchema = z.union([eventSchema, tapSchema]);

const misread = (cause: unknown) =>
  new FacetError("engine_failed", "The worker sent something that is not part of an answer.", {
    fix: "Update the older one of this server and its worker; if both are new, see the worker's log.",
    cause,
  });

/** Whole lines of a body. Throws `engine_failed` for one without an end. */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    if (rest.length > longestLine) throw misread(new Error("a line without an end"));
    // Empty ones are signs of life.
    for (const part of parts) if (part.trim()) yield part;
  }
}

function parse<T>(line: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw misread(cause);
  }
}

/**
 * The events of an answer up to `done`; what the tap asked for goes to it instead. Throws what the worker ends its answer with, and `engine_failed`
 * where it ends without a word, or with what no answer has.
 */
export async function* readEvents(body: AsyncIterable<Uint8Array>, tap: Tap | undefined): AsyncGenerator<EngineEvent, void, void> {
  for await (const line of lines(body)) {
    const event = parse(line, lineSchema);
    switch (event.type) {
      case "tap_hidden": {
        const { type: _, ...pass } = event;
        if (pass.hidden.length !== pass.rows * pass.width || pass.output.length !== pass.hidden.length) {
          throw misread(new Error("states of another size than their line says"));
        }
        tap?.onHidden?.(pass);
        break;
      }
      case "tap_logits":
        tap?.onLogits?.(event.arm, event.i, event.logits);
        break;
      case "error":
        throw workerError(event.error);
      case "done":
        yield event;
        return;
      default:
        yield event;
    }
  }
  throw brokenOff(new Error("the answer ended without `done`"));
}

/** The events of an attribution up to `done`. Throws as `readEvents`. */
export async function* readAttribution(body: AsyncIterable<Uint8Array>): AsyncGenerator<AttributionEvent, void, void> {
  for await (const line of lines(body)) {
    const event = parse(line, attributionEventSchema);
    if (event.type === "error") throw workerError(event.error);
    yield event;
    if (event.type === "done") return;
  }
  throw brokenOff(new Error("the answer ended without `done`"));
}
