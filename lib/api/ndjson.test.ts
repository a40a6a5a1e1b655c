import { describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { ndjsonResponse, readNdjson } from "./ndjson";
import { fieldName, readJson } from "./read-json";

const schema = z.strictObject({ n: z.number() });

function bodyOf(...chunks: string[]): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
      controller.close();
    },
  });
}

async function all(body: ReadableStream<Uint8Array>): Promise<number[]> {
  const seen: number[] = [];
  for await (const { n } of readNdjson(schema, body)) seen.push(n);
  return seen;
}

describe("ndjson", () => {
  it("reads records however the bytes are cut", async () => {
    expect(await all(bodyOf('{"n":1}\n{"n"', ':2}\n\n{"n":3}'))).toEqual([1, 2, 3]);
    expect(await all(bodyOf())).toEqual([]);
  });

  it("refuses lines that are no record", async () => {
    await expect(all(bodyOf("oops\n"))).rejects.toMatchObject({ code: "engine_failed" });
    await expect(all(bodyOf('{"m":1}\n'))).rejects.toMatchObject({ code: "engine_failed" });
  });

  it("ends where a line was cut, so that whoever reads can say that the answer broke off", async () => {
    expect(await all(bodyOf('{"n":1}\n{"n":2}\n{"n"'))).toEqual([1, 2]);
    expect(await all(bodyOf('{"n":1}\n{"n":2}'))).toEqual([1, 2]);
  });

  it("asks for one record at a time and tells the source when the reader leaves", async () => {
    const asked = vi.fn();
    const left = vi.fn();
    const leave = vi.fn();
    async function* numbers() {
      try {
        for (let n = 0; n < 1_000; n++) {
          asked();
          yield { n };
        }
      } finally {
        left();
      }
    }
    const response = ndjsonResponse(numbers(), leave);
    expect(response.headers.get("content-type")).toContain("application/x-ndjson");
    for await (const { n } of readNdjson(schema, response.body as ReadableStream<Uint8Array>)) if (n === 2) break;
    await vi.waitFor(() => expect(left).toHaveBeenCalledOnce(), { timeout: 30_000 });
    expect(leave).toHaveBeenCalledOnce();
    expect(asked.mock.calls.length).toBeLessThan(8);
  });
});

describe("readJson", () => {
  const post = (body: BodyInit, headers: Record<string, string> = {}) =>
    new Request("http://localhost/", { method: "POST", body, headers, duplex: "half" } as RequestInit);

  it("names the field that it refuses", async () => {
    expect(await readJson(post('{"n":1}'), schema, 100)).toEqual({ n: 1 });
    await expect(readJson(post('{"n":"x"}'), schema, 100)).rejects.toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("field n "),
    });
    await expect(readJson(post("{"), schema, 100)).rejects.toMatchObject({ code: "invalid_request" });
    expect(fieldName(["messages", 0, "content", 1, "text"])).toBe("messages[0].content[1].text");
  });

  it("reads no further than allowed, whatever the client claims", async () => {
    const pulled = vi.fn();
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled();
        controller.enqueue(new Uint8Array(64));
      },
    });
    await expect(readJson(post(endless), schema, 200)).rejects.toMatchObject({ code: "too_large" });
    expect(pulled.mock.calls.length).toBeLessThan(10);
    await expect(readJson(post('{"n":1}', { "content-length": "9999" }), schema, 200)).rejects.toMatchObject({ code: "too_large" });
  });

  it("calls a client that leaves amid its body no fault of the server", async () => {
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(64)),
      pull: (controller) => controller.error(new Error("aborted")),
    });
    await expect(readJson(post(broken), schema, 200)).rejects.toMatchObject({ code: "cancelled" });
  });
});
