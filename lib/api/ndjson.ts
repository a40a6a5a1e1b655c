/** Newline-delimited JSON, both ways. */
import type { z } from "zod";
import { FacetError } from "@/lib/core/errors";

/** Each line of a body as a record. Throws `engine_failed` for a line that is none; what a broken connection left of a last one is not taken for any. */
export async function* readNdjson<S extends z.ZodType>(
  schema: S,
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<z.infer<S>, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    while (true) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      if (done && isJson(rest)) lines.push(rest);
      for (const line of lines) if (line.trim()) yield parseLine(schema, line);
      if (done) return;
    }
  } finally {
    // Leaving early tells the server to stop; after an abort there is nobody left to tell.
    reader.cancel().catch(() => {});
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function parseLine<S extends z.ZodType>(schema: S, line: string): z.infer<S> {
  try {
    return schema.parse(JSON.parse(line));
  } catch (cause) {
    throw new FacetError("engine_failed", "The server sent something that is not part of an answer.", { cause });
  }
}

/**
 * Records that are made ahead of the client's reading: more than a run of all arms at its longest has. A client that stops reading must not hold
 * up whoever waits for the engine behind it.
 */
const recordsAhead = 8_192;

/** A response of the iterator's records, each sent as soon as it is there. `leave` is called when the client goes. */
export function ndjsonResponse(records: AsyncIterator<unknown>, leave: () => void): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const { done, value } = await records.next();
        if (done) controller.close();
        else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
      },
      async cancel() {
        leave();
        await records.return?.();
      },
    },
    { highWaterMark: recordsAhead },
  );
  return new Response(body, {
    headers: {
      "content-type": "application/x-ndjson; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    },
  });
}
