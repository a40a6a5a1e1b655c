import { afterEach, describe, expect, it, vi } from "vitest";
import type { EngineEvent, GenerateRequestInput } from "@/lib/core/protocol";
import { streamSteer } from "./steer";

const request: GenerateRequestInput = { dictionary: "m/d", messages: [{ role: "user", content: [{ type: "text", text: "?" }] }] };
const queued: EngineEvent = { type: "queued", position: 2 };
const done: EngineEvent = { type: "done" };

function answer(body: string, status = 200): void {
  vi.stubGlobal("fetch", async () => new Response(body, { status }));
}

async function collect(): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  for await (const event of streamSteer(request)) events.push(event);
  return events;
}

const lines = (...records: unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");

describe("streamSteer", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("yields the events up to done", async () => {
    answer(lines(queued, done));
    expect(await collect()).toEqual([queued, done]);
  });

  it("throws what the server refused, before the stream or inside it", async () => {
    const error = { code: "engine_busy", message: "Busy.", fix: "Wait.", retry: true };
    answer(JSON.stringify({ error }), 503);
    await expect(collect()).rejects.toMatchObject({ code: "engine_busy", message: "Busy." });
    answer(lines(queued, { type: "error", error }));
    await expect(collect()).rejects.toMatchObject({ code: "engine_busy", fix: "Wait." });
  });

  it("does not take a broken answer for a whole one", async () => {
    answer(lines(queued));
    await expect(collect()).rejects.toMatchObject({ code: "engine_failed", message: expect.stringContaining("broke off") });
  });

  it("says so when the server does not answer", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("fetch failed");
    });
    await expect(collect()).rejects.toMatchObject({ code: "engine_unavailable" });
  });
});
