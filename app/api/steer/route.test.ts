import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { readNdjson } from "@/lib/api/ndjson";
import { listImages } from "@/lib/catalog/images";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { type EngineEvent, eventSchema, type GenerateRequestInput } from "@/lib/core/protocol";
import type { Engine, GenerateOptions } from "@/lib/engine/engine";
import { sharp } from "@/lib/sharp";

let catalog: TestCatalog;
let sha256: string;
/** What the engine does with a request; each test says. */
let play: (options: GenerateOptions) => AsyncGenerator<EngineEvent>;

const ref = "test-model/model.layers.1";
const queued: EngineEvent = { type: "queued", position: 0 };
const done: EngineEvent = { type: "done" };

const engine = {
  info: async () => ({ dictionary: { sha256 } }),
  generate: (_request: unknown, options: GenerateOptions) => play(options),
} as unknown as Engine;

vi.mock("@/lib/catalog/db", async (original) => ({ ...(await original<object>()), getDatabase: async () => catalog.db }));
vi.mock("@/lib/engine/registry", () => ({ engineFor: async (asked: string) => (asked === ref ? engine : null) }));

const { POST } = await import("./route");

const body = (more: Partial<GenerateRequestInput> = {}): GenerateRequestInput => ({
  dictionary: ref,
  messages: [{ role: "user", content: [{ type: "text", text: "what is it ?" }] }],
  ...more,
});

function post(content: unknown, signal?: AbortSignal): Promise<Response> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return POST(new Request("http://localhost/api/steer", { method: "POST", body: text, signal }));
}

async function refusal(response: Response): Promise<{ status: number; code: string; message: string }> {
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  return { status: response.status, ...error };
}

async function events(response: Response): Promise<EngineEvent[]> {
  const seen: EngineEvent[] = [];
  for await (const event of readNdjson(eventSchema, response.body as ReadableStream<Uint8Array>)) seen.push(event);
  return seen;
}

describe("POST /api/steer", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    catalog = await openTestCatalog();
    await catalog.add();
    const [row] = await catalog.db.rows<{ sha256: string }>("SELECT sha256 FROM dictionary WHERE ref = $1", [ref]);
    sha256 = row?.sha256 as string;
  }, 120_000);
  afterAll(() => catalog.close());
  beforeEach(() => {
    play = async function* () {
      yield queued;
      yield done;
    };
  });

  it("streams the engine's events, one JSON object a line", async () => {
    const response = await post(body());
    expect(response.headers.get("content-type")).toContain("application/x-ndjson");
    expect(await events(response)).toEqual([queued, done]);
  });

  it("gives the engine each feature's maximum from the catalogue, and its pictures", async () => {
    const [image] = (await listImages(catalog.db, { limit: 1, cursor: null })).items;
    const [feature] = await catalog.db.rows<{ index: number; max_activation: number }>(
      "SELECT index, max_activation FROM feature WHERE max_activation > 0 ORDER BY index LIMIT 1",
    );
    const seen: unknown[] = [];
    play = async function* ({ unitOf, resolveImage }) {
      seen.push(unitOf(feature?.index ?? 0), unitOf(1_000_000));
      const { width, height } = await resolveImage({ sha256: image?.sha256 ?? "" });
      seen.push([width, height]);
      yield done;
    };
    expect(await events(await post(body()))).toEqual([done]);
    expect(seen).toEqual([Math.fround(feature?.max_activation ?? 0), 0, [image?.width, image?.height]]);
  });

  it("answers with a status what is refused before the stream", async () => {
    expect(await refusal(await post("{"))).toMatchObject({ status: 400, code: "invalid_request" });
    expect(await refusal(await post({ ...body(), mode: "sideways" }))).toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("mode"),
    });
    const huge = { ...body(), interventions: [{ feature: 1, value: 1e9 }] };
    expect(await refusal(await post(huge))).toMatchObject({
      code: "invalid_request",
      message: expect.stringContaining("interventions[0].value"),
    });
    const many = { ...body(), interventions: Array.from({ length: 200 }, (_, feature) => ({ feature })) };
    expect(await refusal(await post(many))).toMatchObject({ code: "invalid_request", message: expect.stringContaining("interventions") });
    expect(await refusal(await post(body({ dictionary: "no/such" })))).toMatchObject({ status: 404, code: "dictionary_not_found" });
    expect(await refusal(await post(body({ version: "000000000000" })))).toMatchObject({ status: 409, code: "version_mismatch" });
    expect(await refusal(await post("x".repeat(40_000_000)))).toMatchObject({ status: 413, code: "too_large" });
  });

  it("answers with a status what the engine refuses at once", async () => {
    play = async function* ({ resolveImage }) {
      await resolveImage({
        dataUrl: `data:image/svg+xml;base64,${Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>").toString("base64")}`,
      });
      yield done;
    };
    expect(await refusal(await post(body()))).toMatchObject({ status: 415, code: "unsupported_image" });
    play = async function* ({ resolveImage }) {
      const png = await sharp({ create: { width: 60, height: 60, channels: 3, background: "#456" } })
        .png()
        .toBuffer();
      await resolveImage({ dataUrl: `data:image/png;base64,${png.subarray(0, 90).toString("base64")}` });
      yield done;
    };
    expect(await refusal(await post(body()))).toMatchObject({ status: 422, code: "unreadable_image" });
    play = async function* ({ resolveImage }) {
      await resolveImage({ sha256: "0".repeat(64) });
      yield done;
    };
    expect(await refusal(await post(body()))).toMatchObject({ status: 404, code: "image_not_found" });
  });

  it("refuses to mix versions: units of one dictionary, engine of another", async () => {
    const own = sha256;
    sha256 = "f".repeat(64);
    expect(await refusal(await post(body()))).toMatchObject({ status: 409, code: "version_mismatch" });
    sha256 = own;
  });

  it("ends the stream with an error event for what fails later, and tells nothing of its inside", async () => {
    play = async function* () {
      yield queued;
      throw new Error("secret path");
    };
    const [first, last] = await events(await post(body()));
    expect(first).toEqual(queued);
    expect(last).toMatchObject({ type: "error", error: { code: "internal" } });
    expect(JSON.stringify(last)).not.toContain("secret");
  });

  it("sends each event as it is made, not at the end", async () => {
    let finish = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    play = async function* () {
      yield queued;
      await finished;
      yield done;
    };
    const reader = ((await post(body())).body as ReadableStream<Uint8Array>).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(`${JSON.stringify(queued)}\n`);
    finish();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe(`${JSON.stringify(done)}\n`);
  });

  it("lets a run end whose client does not read, so that those behind it get their turn", async () => {
    const ended = vi.fn();
    play = async function* () {
      try {
        for (let i = 0; i < 1_280; i++) yield queued;
      } finally {
        ended();
      }
    };
    const unread = await post(body());
    await vi.waitFor(() => expect(ended).toHaveBeenCalledOnce(), { timeout: 30_000 });
    await unread.body?.cancel();
  });

  it("stops the engine when the client leaves", async () => {
    const left = vi.fn();
    let signal: AbortSignal | undefined;
    play = async function* (options) {
      signal = options.signal;
      try {
        for (;;) {
          yield queued;
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      } finally {
        left();
      }
    };
    const response = await post(body());
    await response.body?.cancel();
    await vi.waitFor(() => expect(left).toHaveBeenCalledOnce(), { timeout: 30_000 });
    expect(signal?.aborted).toBe(true);
    const leaving = new AbortController();
    await post(body(), leaving.signal);
    expect(signal?.aborted).toBe(false);
    leaving.abort();
    expect(signal?.aborted).toBe(true);
  });
});
