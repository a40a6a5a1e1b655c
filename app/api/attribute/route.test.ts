/** From the request's bytes to the answer, with the real model behind the route. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { readNdjson } from "@/lib/api/ndjson";
import { importBundle } from "@/lib/catalog/import-bundle";
import { writeTestBundle } from "@/lib/catalog/test-bundle";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { type AttributionEvent, attributionEventSchema } from "@/lib/core/attribution";
import { parseManifest } from "@/lib/engine/onnx/load";
import type { OnnxEngine } from "@/lib/engine/onnx/onnx-engine";
import type { NodeRuntime } from "@/lib/engine/onnx/runtime-node";
import { engineFor, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";
import { sharp } from "@/lib/sharp";

let catalog: TestCatalog;
let ref: string;
let picture: string;

vi.mock("@/lib/catalog/db", async (original) => ({ ...(await original<object>()), getDatabase: async () => catalog.db }));

const { POST } = await import("./route");

const body = (more: object = {}) => ({
  dictionary: ref,
  messages: [
    {
      role: "user",
      content: [
        { type: "image", image: { dataUrl: picture } },
        { type: "text", text: "what do you see ?" },
      ],
    },
  ],
  maxTokens: 4,
  exact: 9,
  ...more,
});
const post = (content: unknown, signal?: AbortSignal) =>
  POST(new Request("http://localhost/api/attribute", { method: "POST", body: JSON.stringify(content), signal }));

async function events(response: Response): Promise<AttributionEvent[]> {
  const seen: AttributionEvent[] = [];
  for await (const event of readNdjson(attributionEventSchema, response.body as ReadableStream<Uint8Array>)) seen.push(event);
  return seen;
}

const keptTensors = async () =>
  ((await engineFor(ref)) as OnnxEngine).loaded().then(({ model }) => (model.runtime as NodeRuntime).keptTensors());

describe("POST /api/attribute", { timeout: 120_000 }, () => {
  beforeAll(async () => {
    catalog = await openTestCatalog();
    const { model, dictionaries } = parseManifest((await readManifest(env.engineDir)) ?? "");
    const [dictionary] = dictionaries;
    if (!dictionary) throw new Error("engine.json names no dictionary.");
    ref = `${model.id}/${dictionary.id}`;
    const bundle = path.join(catalog.folder, "bundle");
    await writeTestBundle(bundle, { model: model.id, dictionaries: [dictionary.id] });
    const file = path.join(bundle, "manifest.json");
    const manifest = JSON.parse(await readFile(file, "utf8")) as { dictionaries: { sha256: string }[] };
    Object.assign(manifest.dictionaries[0] as object, { sha256: dictionary.sha256 });
    await writeFile(file, JSON.stringify(manifest));
    await importBundle(catalog.db, bundle);
    const png = await sharp({ create: { width: 90, height: 60, channels: 3, background: "#375" } })
      .png()
      .toBuffer();
    picture = `data:image/png;base64,${png.toString("base64")}`;
  }, 120_000);
  afterAll(() => catalog.close());

  it("streams the estimates, then effects as they are measured, and keeps nothing of the run", async () => {
    const response = await post(body());
    expect([response.status, response.headers.get("content-type")]).toEqual([200, "application/x-ndjson; charset=utf-8"]);
    const told = await events(response);
    expect(told.map(({ type }) => type)).toEqual(["result", "measured", "measured", "agreement", "done"]);
    expect(told[0]).toMatchObject({
      result: { positions: expect.arrayContaining([{ kind: "image", text: "", cell: { image: 0, cell: 0 } }]) },
    });
    expect(told[2]).toMatchObject({ done: 9, total: 9 });
    expect(await keptTensors()).toBe(0);
  });

  it.each([
    [400, "invalid_request", { exact: -1 }],
    [400, "invalid_request", { metric: { type: "difference", answer: 5, baseline: 5 }, answer: [5] }],
    [422, "token_unknown", { answer: [99_999] }],
    [422, "place_unknown", { answer: [9, 10], position: 2 }],
    [404, "feature_not_found", { measure: [9_999_999], answer: [9] }],
    [404, "dictionary_not_found", { dictionary: "no/such" }],
  ])("answers %i %s to %j", async (status, code, more) => {
    const response = await post(body(more));
    const { error } = (await response.json()) as { error: { code: string; message: string; fix: string } };
    expect([response.status, error.code]).toEqual([status, code]);
    for (const sentence of [error.message, error.fix]) expect(sentence).toMatch(/^.+\.$/u);
  });

  it("stops when its client leaves, and serves whoever waits behind it", async () => {
    const leaving = new AbortController();
    const reader = ((await post(body({ exact: 200 }), leaving.signal)).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const behind = await post(body({ exact: 0 }));
    leaving.abort();
    expect((await events(behind)).at(-1)).toEqual({ type: "done" });
    await reader.cancel();
    expect(await keptTensors()).toBe(0);
  });
});
