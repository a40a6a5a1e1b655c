import { describe, expect, it, vi } from "vitest";
import { FacetError } from "@/lib/core/errors";
import type { EngineEvent } from "@/lib/core/protocol";
import { openEventStream } from "./event-stream";
import { RequestQueue } from "./queue";

const silent = () => {};

/** A run that holds its turn in a line until it ends, as the engines do. */
async function* run(queue: RequestQueue, signal: AbortSignal): AsyncGenerator<EngineEvent, void, void> {
  const ticket = queue.enter(signal);
  try {
    for await (const position of ticket.positions()) yield { type: "queued", position };
    yield { type: "done" };
    yield { type: "done" };
  } finally {
    ticket.leave();
  }
}

async function lastOf(stream: AsyncIterable<EngineEvent>): Promise<EngineEvent | undefined> {
  let last: EngineEvent | undefined;
  for await (const event of stream) last = event;
  return last;
}

describe("openEventStream", () => {
  it("frees the turn of a client that left before anything was read", async () => {
    const queue = new RequestQueue(1, 1);
    const leaving = new AbortController();
    await openEventStream(run(queue, leaving.signal), silent, leaving.signal);
    leaving.abort();
    const next = await openEventStream(run(queue, new AbortController().signal), silent, new AbortController().signal);
    expect(await lastOf(next)).toEqual({ type: "done" });
  });

  it("frees the turn of a client that left in the middle and reads no more", async () => {
    const queue = new RequestQueue(1, 1);
    const leaving = new AbortController();
    const stream = await openEventStream(run(queue, leaving.signal), silent, leaving.signal);
    await stream.next();
    leaving.abort();
    const next = await openEventStream(run(queue, new AbortController().signal), silent, new AbortController().signal);
    expect(await lastOf(next)).toEqual({ type: "done" });
  });

  it("frees the place of a client that left while it waited", async () => {
    const queue = new RequestQueue(1, 1);
    await openEventStream(run(queue, new AbortController().signal), silent, new AbortController().signal);
    const leaving = new AbortController();
    await openEventStream(run(queue, leaving.signal), silent, leaving.signal);
    expect(queue.length).toBe(1);
    leaving.abort();
    await vi.waitFor(() => expect(queue.length).toBe(0), { timeout: 30_000 });
  });

  it("frees the turn of a client that left before the engine was asked", async () => {
    const queue = new RequestQueue(1, 0);
    const left = AbortSignal.abort();
    await expect(openEventStream(run(queue, left), silent, left)).rejects.toMatchObject({ code: "cancelled" });
    const next = await openEventStream(run(queue, new AbortController().signal), silent, new AbortController().signal);
    expect(await lastOf(next)).toEqual({ type: "done" });
  });

  it("throws what is refused at once, and ends the stream with what fails later", async () => {
    const signal = new AbortController().signal;
    const refused = new FacetError("prompt_empty", "There is no question.");
    const failing = (async function* (): AsyncGenerator<EngineEvent, void, void> {
      yield* [];
      throw refused;
    })();
    await expect(openEventStream(failing, silent, signal)).rejects.toBe(refused);
    const told: FacetError[] = [];
    const later = (async function* (): AsyncGenerator<EngineEvent, void, void> {
      yield { type: "done" };
      throw refused;
    })();
    const stream = await openEventStream(later, (error) => told.push(error), signal);
    const events: EngineEvent[] = [];
    for await (const event of stream) events.push(event);
    expect(events).toEqual([{ type: "done" }, { type: "error", error: refused.toJSON() }]);
    expect(told).toEqual([refused]);
  });
});
