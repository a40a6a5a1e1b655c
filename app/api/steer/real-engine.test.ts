/** Bad input and bad luck, from the request's bytes to the answer, with the real model behind the route: a sentence each, and the next request works. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { readNdjson } from "@/lib/api/ndjson";
import { importBundle } from "@/lib/catalog/import-bundle";
import { writeTestBundle } from "@/lib/catalog/test-bundle";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { type EngineEvent, eventSchema } from "@/lib/core/protocol";
import { parseManifest } from "@/lib/engine/onnx/load";
import type { OnnxEngine } from "@/lib/engine/onnx/onnx-engine";
import type { NodeRuntime } from "@/lib/engine/onnx/runtime-node";
import { engineFor, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";
import { sharp } from "@/lib/sharp";

let catalog: TestCatalog;
let ref: string;

vi.mock("@/lib/catalog/db", async (original) => ({ ...(await original<object>()), getDatabase: async () => catalog.db }));

const { POST } = await import("./route");

/** A catalogue that describes the engine's own dictionary. */
async function describeEngineDictionary(): Promise<void> {
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
}

const said = (text: string) => [{ role: "user", content: [{ type: "text", text }] }];
const shown = (dataUrl: string) => [
  {
    role: "user",
    content: [
      { type: "image", image: { dataUrl } },
      { type: "text", text: "what do you see ?" },
    ],
  },
];
const body = (more: object = {}) => ({ dictionary: ref, messages: said("what do you see ?"), sampling: { maxTokens: 6 }, ...more });
const dataUrl = (bytes: Uint8Array, mime = "image/png") => `data:${mime};base64,${Buffer.from(bytes).toString("base64")}`;
const clamp = (more: object = {}) => ({ feature: 7, op: "set", value: 2, unit: "raw", scope: { type: "all" }, ...more });

function post(content: unknown, signal?: AbortSignal): Promise<Response> {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  return POST(new Request("http://localhost/api/steer", { method: "POST", body: text, signal }));
}

async function events(response: Response): Promise<EngineEvent[]> {
  const seen: EngineEvent[] = [];
  for await (const event of readNdjson(eventSchema, response.body as ReadableStream<Uint8Array>)) seen.push(event);
  return seen;
}

async function expectRefusal(content: unknown, status: number, code: string, message: RegExp): Promise<void> {
  const response = await post(content);
  const { error } = (await response.json()) as { error: { code: string; message: string; fix: string } };
  expect({ status: response.status, ...error }).toMatchObject({ status, code, message: expect.stringMatching(message) });
  for (const sentence of [error.message, error.fix]) expect(sentence).toMatch(/^[\p{Lu}/].*\.$/u);
}

const runtimeOf = async () => (await ((await engineFor(ref)) as OnnxEngine).loaded()).model.runtime as NodeRuntime;

describe("POST /api/steer with the real engine", { timeout: 120_000 }, () => {
  beforeAll(async () => {
    catalog = await openTestCatalog();
    await describeEngineDictionary();
  }, 120_000);
  afterAll(() => catalog.close());

  afterEach(async () => {
    const answer = await events(await post(body({ interventions: [clamp()] })));
    expect(answer.map(({ type }) => type).filter((type) => type !== "token")).toEqual(["meta", "receipt", "receipt", "done"]);
    expect(await (await runtimeOf()).keptTensors()).toBe(0);
  }, 60_000);

  it("refuses prompts without words or with too many", async () => {
    await expectRefusal(body({ messages: said(" \n") }), 422, "prompt_empty", /Message 1 has no text/);
    await expectRefusal(body({ messages: [] }), 400, "invalid_request", /messages/);
    await expectRefusal(body({ messages: said("a ".repeat(600)) }), 422, "prompt_too_long", /takes 60\d positions .* room for 512/);
    await expectRefusal(body({ messages: said("a".repeat(9_000)) }), 400, "invalid_request", /at most 8000 characters/);
  });

  it("refuses clamps that are too many, too strong, no number, or of what is not there", async () => {
    const many = Array.from({ length: 200 }, (_, feature) => clamp({ feature }));
    await expectRefusal(body({ interventions: many }), 400, "invalid_request", /interventions .*at most 64 clamps/);
    for (const value of ["1e9", "-1e9", "1e999"]) {
      const text = JSON.stringify(body({ interventions: [clamp({ value: "VALUE" })] })).replace('"VALUE"', value);
      await expectRefusal(text, 400, "invalid_request", /interventions\[0\]\.value .*a strength/);
    }
    // JSON has no NaN: as a word it is none, and `JSON.stringify` writes null for it.
    await expectRefusal('{"interventions":[{"feature":1,"value":NaN}]}', 400, "invalid_request", /not JSON/);
    await expectRefusal(body({ interventions: [clamp({ value: Number.NaN })] }), 400, "invalid_request", /value .*a strength is a number/);
    await expectRefusal(body({ interventions: [clamp({ feature: 9_999_999 })] }), 422, "clamp_nowhere", /has features 0 to/);
    await expectRefusal(body({ interventions: [clamp({ feature: -1 })] }), 400, "invalid_request", /interventions\[0\]\.feature/);
    await expectRefusal(body({ interventions: [clamp({ scope: { type: "image" } })] }), 422, "clamp_nowhere", /prompt has none/);
    await expectRefusal(body({ interventions: [clamp(), clamp()] }), 422, "clamp_overlap", /Feature 7 is clamped twice/);
    await expectRefusal(body({ dictionary: "no/such" }), 404, "dictionary_not_found", /no\/such/);
    await expectRefusal(body({ sweep: { clamp: 4, values: [1] } }), 400, "invalid_request", /sweep is of clamp 4/);
    await expectRefusal(body({ watch: ["xylophonist"] }), 422, "word_unknown", /no token for “xylophonist”/);
  });

  it("refuses uploads that are too large, and pictures that are none or not whole", async () => {
    const megabytes = (n: number) => dataUrl(new Uint8Array(n * 1024 * 1024));
    await expectRefusal(body({ messages: shown(megabytes(40)) }), 413, "too_large", /larger than 33 MB/);
    await expectRefusal(body({ messages: shown(megabytes(20)) }), 413, "too_large", /more than 12 MB/);
    const svg = new TextEncoder().encode("<svg xmlns='http://www.w3.org/2000/svg'/>");
    await expectRefusal(body({ messages: shown(dataUrl(svg, "image/svg+xml")) }), 415, "unsupported_image", /SVG/);
    await expectRefusal(body({ messages: shown(dataUrl(new TextEncoder().encode("hello"))) }), 422, "unreadable_image", /./);
    await expectRefusal(body({ messages: shown("data:image/png;base64,") }), 422, "unreadable_image", /./);
    await expectRefusal(body({ messages: shown("data:text/plain;base64,AAAA") }), 400, "invalid_request", /begins with data:image\//);
    const png = await sharp({ create: { width: 90, height: 60, channels: 3, background: "#375" } })
      .png()
      .toBuffer();
    await expectRefusal(body({ messages: shown(dataUrl(png.subarray(0, 80))) }), 422, "unreadable_image", /./);
  });

  it("answers about odd pictures that are whole", async () => {
    const pixel = sharp({ create: { width: 1, height: 1, channels: 4, background: { r: 9, g: 200, b: 30, alpha: 0.5 } } });
    const strip = sharp({ create: { width: 3_000, height: 1, channels: 3, background: "#a33" } });
    const odd = [await pixel.png().toBuffer(), await strip.jpeg().toBuffer(), await pixel.clone().toColourspace("b-w").webp().toBuffer()];
    for (const bytes of odd) {
      const answer = await events(
        await post(body({ messages: shown(dataUrl(bytes)), interventions: [clamp({ scope: { type: "image" } })] })),
      );
      expect(answer.at(-1)).toEqual({ type: "done" });
    }
  });

  it("stops a run whose client leaves half-way, and serves whoever waits behind it", async () => {
    const leaving = new AbortController();
    const long = body({
      sampling: { maxTokens: 256, temperature: 5, seed: 3 },
      interventions: [clamp()],
      sweep: { clamp: 0, values: [1, 2, 3, 4] },
    });
    const reader = ((await post(long, leaving.signal)).body as ReadableStream<Uint8Array>).getReader();
    await reader.read();
    const behind = await post(body());
    leaving.abort();
    expect((await events(behind)).at(-1)).toEqual({ type: "done" });
    await reader.cancel();
  });

  it("ends the answer with an error when the engine's thread dies half-way, and serves whoever waited meanwhile", async () => {
    const runtime = await runtimeOf();
    const response = await post(body({ sampling: { maxTokens: 64, temperature: 5, seed: 1 } }));
    const waiting = await post(body());
    const seen: EngineEvent[] = [];
    for await (const event of readNdjson(eventSchema, response.body as ReadableStream<Uint8Array>)) {
      seen.push(event);
      if (seen.length === 2) runtime.end().catch(() => {});
    }
    expect(seen.at(-1)).toMatchObject({ type: "error", error: { code: "engine_failed", retry: true } });
    expect(seen.some(({ type }) => type === "done")).toBe(false);
    expect((await events(waiting)).at(-1)).toEqual({ type: "done" });
    expect(await runtimeOf()).not.toBe(runtime);
  });
});
