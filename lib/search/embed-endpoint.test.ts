import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { endpointEmbedder } from "./embed-endpoint";

interface Asked {
  url: string | undefined;
  key: string | undefined;
  body: { model: string; input: string[] };
}

let server: Server | undefined;
afterEach(() => new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined))));

async function body(request: IncomingMessage): Promise<Asked["body"]> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString("utf8"));
}

/** An endpoint of our own on this machine, and what it was asked. */
async function endpoint(answer: (input: string[]) => unknown, status = 200, headers: Record<string, string> = {}) {
  const asked: Asked[] = [];
  server = createServer(async (request, response) => {
    const got = await body(request);
    asked.push({ url: request.url, key: request.headers.authorization, body: got });
    response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(answer(got.input)));
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` };
}

/** As OpenAI answers; in reversed order, which `index` undoes. */
const embeddings = (input: string[]) => ({
  data: input.map((text, index) => ({ object: "embedding", index, embedding: [text.length, 3, 4] })).reverse(),
});

describe("an embeddings endpoint", () => {
  it("is asked as OpenAI's is, in batches, and its vectors are brought to length 1 and in order", async () => {
    const { asked, url } = await endpoint(embeddings);
    const embedder = endpointEmbedder({ url, model: "some-model", key: "secret-key" });
    expect(embedder.id).toBe("some-model");
    const texts = Array.from({ length: 130 }, (_, i) => "x".repeat(i));
    const vectors = await embedder.embed(texts);
    expect(asked.map(({ url, key, body }) => [url, key, body.model, body.input.length])).toEqual([
      ["/v1/embeddings", "Bearer secret-key", "some-model", 128],
      ["/v1/embeddings", "Bearer secret-key", "some-model", 2],
    ]);
    expect(vectors).toHaveLength(130);
    expect(vectors[12]).toEqual(Float32Array.from([12 / 13, 3 / 13, 4 / 13]));
    for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  });

  it("takes a whole address, and no key", async () => {
    const { asked, url } = await endpoint(embeddings);
    await endpointEmbedder({ url: `${url}/embeddings`, model: "m" }).embed(["a"]);
    expect(asked[0]).toMatchObject({ url: "/v1/embeddings", key: undefined });
  });

  it.each<[string, (input: string[]) => unknown, number]>([
    ["refuses", () => ({ error: { message: "your key secret-key is wrong" } }), 401],
    ["answers something else", () => ({ data: "none" }), 200],
    ["leaves a text out", (input) => ({ data: embeddings(input).data.slice(1) }), 200],
    ["gives a vector of nothing", () => ({ data: [{ index: 0, embedding: [0, 0] }] }), 200],
    ["sends elsewhere", () => ({}), 307],
  ])("that %s fails, without a word of the key", async (_, answer, status) => {
    const { url } = await endpoint(answer, status, status === 307 ? { Location: "http://127.0.0.1:9/" } : {});
    const embedder = endpointEmbedder({ url, model: "m", key: "secret-key" });
    const error = await embedder.embed(["a", "bc"]).then(
      () => null,
      (error: Error) => error,
    );
    expect(error).toBeInstanceOf(Error);
    expect(`${error?.message} ${error?.stack}`).not.toContain("secret-key");
  });

  it("is refused where its address is none or holds a password", () => {
    for (const url of ["not an address", "ftp://host/v1", "http://me:secret-key@host/v1"]) {
      expect(() => endpointEmbedder({ url, model: "m" })).toThrowError(/FACET_EMBEDDINGS_URL/);
    }
    expect(() => endpointEmbedder({ url: "http://me:secret-key@host/v1", model: "m" })).toThrowError(/^((?!secret-key).)*$/);
  });
});
