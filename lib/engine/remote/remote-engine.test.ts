import type { ServerResponse } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { type AttributionEvent, type AttributionRequestInput, attributionRequestSchema } from "@/lib/core/attribution";
import { drawSubstitutes } from "@/lib/core/clamp-controls";
import { type EngineEvent, type GenerateRequestInput, generateRequestSchema, type Receipt } from "@/lib/core/protocol";
import { wireAnalyseSchema, wireAttributeSchema, wireGenerateSchema } from "@/lib/core/worker-wire";
import { sharp } from "@/lib/sharp";
import { sendError, sendLines, startTestWorker, type TestWorker, testInfo, testServed } from "@/lib/workers/test-worker";
import type { GenerateOptions, HookEvent, ResolvedImage } from "../engine";
import { RemoteEngine } from "./remote-engine";

const open: TestWorker[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.stop();
});

async function start(...args: Parameters<typeof startTestWorker>): Promise<{ test: TestWorker; engine: RemoteEngine }> {
  const test = await startTestWorker(...args);
  open.push(test);
  return { test, engine: new RemoteEngine(test.worker, "m/d") };
}

const identity = { name: "torch", version: "1", dtype: "float32" };
const meta: EngineEvent = { type: "meta", arms: ["steered"], prompt: { text: "", imageTokens: 0, textTokens: 1 }, engine: identity };
const token: EngineEvent = { type: "token", arm: "steered", i: 0, id: 7, text: "a", logprob: -0.5, alternatives: [] };
const receipt: Receipt = {
  arm: "steered",
  outcome: "unchanged",
  reason: "No clamp was asked for.",
  text: "a",
  finish: "stop",
  model: { id: "m", sha256: testServed.model.sha256 },
  dictionary: { id: "d", hook: "model.layers.1", sha256: testServed.dictionary.sha256 },
  prompt: { text: "", images: [] },
  mode: "delta",
  sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
  clamps: [],
  prefill: { image: { planned: 0, changed: 0 }, text: { planned: 0, changed: 0 } },
  decode: { planned: 0, changed: 0 },
  relativeNorm: null,
  tokens: 1,
  engine: identity,
  timingsMs: { queued: 0, prefill: 1, decode: 1 },
};
const whole: EngineEvent[] = [meta, token, { type: "receipt", receipt }, { type: "done" }];

const said = [{ role: "user" as const, content: [{ type: "text" as const, text: "what ?" }] }];
const ask = (more: Partial<GenerateRequestInput> = {}) => generateRequestSchema.parse({ dictionary: "m/d", messages: said, ...more });
const noPicture = async (): Promise<ResolvedImage> => {
  throw new Error("no picture was to be asked for");
};
const optionsWith = (more: Partial<GenerateOptions> = {}): GenerateOptions => ({
  signal: new AbortController().signal,
  resolveImage: noPicture,
  unitOf: () => 1,
  ...more,
});

async function run(engine: RemoteEngine, request = ask(), options = optionsWith()): Promise<EngineEvent[]> {
  const events: EngineEvent[] = [];
  for await (const event of engine.generate(request, options)) events.push(event);
  return events;
}

const begin = (response: ServerResponse, ...events: object[]) => {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  for (const event of events) response.write(`${JSON.stringify(event)}\n`);
};

describe("RemoteEngine.generate", () => {
  it("passes the worker's events on as they come", async () => {
    const { test, engine } = await start();
    let go = () => {};
    test.post = (_, response) => {
      begin(response, { type: "queued", position: 0 }, meta);
      go = () =>
        response.end(
          whole
            .slice(1)
            .map((event) => `${JSON.stringify(event)}\n`)
            .join(""),
        );
    };
    const events = engine.generate(ask(), optionsWith());
    expect((await events.next()).value).toEqual({ type: "queued", position: 0 });
    expect((await events.next()).value).toEqual(meta);
    go();
    const rest = [];
    for await (const event of events) rest.push(event);
    expect(rest).toEqual(whole.slice(1));
  });

  it("sends the pixels that it decoded, without loss, under the hash of the file, and no file twice", async () => {
    const { test, engine } = await start({}, "secret");
    test.post = (_, response) => sendLines(response, ...whole);
    const pixels = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => (i * 37) % 256);
    const sha256 = "e".repeat(64);
    const content = [
      { type: "image" as const, image: { dataUrl: "data:image/jpeg;base64,AAAA" } },
      { type: "text" as const, text: "what ?" },
    ];
    const asked = ask({ messages: [{ role: "user", content }] });
    await run(engine, asked, optionsWith({ resolveImage: async () => ({ width: 5, height: 3, data: pixels, sha256 }) }));
    const body = wireGenerateSchema.parse(JSON.parse(test.bodies[0] as string));
    expect(test.seen.map((one) => one.token)).toEqual(["Bearer secret", "Bearer secret"]);
    expect(test.bodies[0]).not.toContain("secret");
    expect(body.images.map((image) => image.sha256)).toEqual([sha256]);
    expect(body.request.messages[0]?.content[0]).toEqual({ type: "image", image: { sha256 } });
    const png = Buffer.from(body.images[0]?.data ?? "", "base64");
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    expect([info.format, info.width, info.height, info.channels]).toEqual(["raw", 5, 3, 3]);
    expect(new Uint8Array(data)).toEqual(pixels);
    expect((await sharp(png).metadata()).format).toBe("png");
    // The weights that were looked at here, whatever the worker has by then.
    expect(body.request.version).toBe(testServed.dictionary.sha256.slice(0, 12));
  });

  it("sends the maxima of what is clamped, and of every feature that the random control's draws will look at", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => sendLines(response, ...whole);
    const unitOf = (feature: number) => (feature === 3 || feature === 5 ? feature / 2 : 0);
    const interventions = [{ feature: 1, unit: "raw" as const }, { feature: 3 }];
    const seeds = Array.from({ length: 12 }, (_, seed) => seed);
    for (const seed of seeds) await run(engine, ask({ interventions, controls: ["random"], sampling: { seed } }), optionsWith({ unitOf }));
    await run(engine, ask({ interventions }), optionsWith({ unitOf }));
    const units = test.bodies.map((body) => wireGenerateSchema.parse(JSON.parse(body)).units);
    expect(units.pop()).toEqual({ 1: 0, 3: 1.5 });
    for (const [seed, sent] of units.entries()) {
      // Whoever draws with what was sent alone draws the same.
      expect(drawSubstitutes([1, 3], 8, (feature) => sent[feature] ?? 0, seed)).toEqual(drawSubstitutes([1, 3], 8, unitOf, seed));
      expect(sent).toMatchObject({ 1: 0, 3: 1.5, 5: 2.5 });
    }
    // An attribution of that control's answer looks at the same ones.
    const traced = { dictionary: ask().dictionary, messages: ask().messages, interventions };
    for (const control of [{ type: "random", seed: 4 }, { type: "negated" }] as const) {
      const events = engine.attribute(attributionRequestSchema.parse({ ...traced, control }), optionsWith({ unitOf }));
      await expect(events.next()).rejects.toMatchObject({ code: "engine_failed" });
      const body = wireAttributeSchema.parse(JSON.parse(test.bodies.at(-1) as string));
      expect([body.request.control, body.units]).toEqual([control, control.type === "random" ? units[4] : { 1: 0, 3: 1.5 }]);
    }
  });

  it("gives a tap what it asks for", async () => {
    const { test, engine } = await start();
    const floats = (...values: number[]) => Buffer.from(new Float32Array(values).buffer).toString("base64");
    const pass = { type: "tap_hidden", arm: "steered", first: 3, rows: 2, width: 2 };
    test.post = (_, response) =>
      sendLines(
        response,
        meta,
        { ...pass, hidden: floats(1, 2, 3, 4), output: floats(5, 6, 7, 8.5) },
        { type: "tap_logits", arm: "steered", i: 0, logits: floats(0.5, -2) },
        ...whole.slice(1),
      );
    const [hooks, logits]: [HookEvent[], unknown[]] = [[], []];
    const tap = {
      onHidden: (event: HookEvent) => hooks.push(event),
      onLogits: (...args: unknown[]) => logits.push(args),
      force: { steered: [4, 2] },
    };
    expect(await run(engine, ask(), optionsWith({ tap }))).toEqual(whole);
    expect(hooks).toEqual([
      { arm: "steered", first: 3, rows: 2, width: 2, hidden: new Float32Array([1, 2, 3, 4]), output: new Float32Array([5, 6, 7, 8.5]) },
    ]);
    expect(logits).toEqual([["steered", 0, new Float32Array([0.5, -2])]]);
    expect(JSON.parse(test.bodies[0] as string).tap).toEqual({ hidden: true, logits: true, force: { steered: [4, 2] } });
    test.post = (_, response) => sendLines(response, meta, { ...pass, hidden: floats(1), output: floats(1) });
    await expect(run(engine, ask(), optionsWith({ tap }))).rejects.toMatchObject({ code: "engine_failed" });
  });

  const refusals: [string, number, string, Record<string, string>, object][] = [
    ["what the person can mend", 422, "clamp_nowhere", {}, { code: "clamp_nowhere", message: "Said: clamp_nowhere.", fix: "Do so." }],
    ["a full line", 503, "engine_busy", { "retry-after": "7" }, { code: "engine_busy", retryAfterS: 7, retry: true }],
    ["no memory", 503, "engine_out_of_memory", {}, { code: "engine_out_of_memory", retry: true }],
    ["a wrong token", 401, "unauthorized", {}, { code: "engine_unavailable", fix: expect.stringContaining("FACET_WORKER_TOKEN") }],
    ["another protocol", 409, "protocol_mismatch", {}, { code: "engine_unavailable", message: "Said: protocol_mismatch." }],
    ["its own fault", 500, "internal", {}, { code: "engine_failed", message: "The worker failed while it ran the model." }],
    ["a code of the future", 418, "teapot", {}, { code: "engine_failed", fix: expect.stringContaining("Update") }],
  ];
  it.each(refusals)("throws %s, typed, before the first event", async (_, status, code, headers, error) => {
    const { test, engine } = await start({}, "secret");
    test.post = (_request, response) => sendError(response, status, code, headers);
    await expect(run(engine)).rejects.toMatchObject(error);
  });

  it("tells another thing at the worker's address from a worker", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => response.writeHead(502, { "content-type": "text/html" }).end("<h1>Bad gateway</h1>");
    await expect(run(engine)).rejects.toMatchObject({ code: "engine_unavailable", message: expect.stringContaining("502") });
    test.post = (_, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end();
    await expect(run(engine)).rejects.toMatchObject({ code: "engine_failed", message: expect.stringContaining("302") });
  });

  it("throws half-way what the worker ends its answer with", async () => {
    const { test, engine } = await start();
    const error = { code: "engine_out_of_memory", message: "Full.", fix: "Ask for less.", retry: true };
    test.post = (_, response) => sendLines(response, meta, token, { type: "error", error });
    const seen: EngineEvent[] = [];
    const running = async () => {
      for await (const event of engine.generate(ask(), optionsWith())) seen.push(event);
    };
    await expect(running()).rejects.toMatchObject({ code: "engine_out_of_memory", message: "Full.", fix: "Ask for less." });
    expect(seen).toEqual([meta, token]);
  });

  const broken: [string, (response: ServerResponse) => void, RegExp][] = [
    [
      "is killed",
      (response) => {
        begin(response, meta);
        setTimeout(() => response.socket?.destroy(), 30);
      },
      /broke off/,
    ],
    ["ends without a word", (response) => sendLines(response, meta, token), /broke off/],
    ["says what is no event", (response) => sendLines(response, meta, { type: "token", arm: "steered" }), /not part of an answer/],
    ["says more than an event has", (response) => sendLines(response, { ...meta, secret: 1 }), /not part of an answer/],
    ["says what is no JSON", (response) => response.writeHead(200).end("<html>\n"), /not part of an answer/],
    ["falls silent", (response) => begin(response, meta, token), /sent nothing more for 400 ms/],
  ];
  it.each(broken)("ends with a typed error when the worker %s half-way", async (_, post, message) => {
    const { test, engine } = await start();
    test.post = (_request, response) => post(response);
    await expect(run(engine)).rejects.toMatchObject({ code: "engine_failed", message: expect.stringMatching(message) });
  });

  it("waits for a worker as long as it shows that it lives: its line moves, or an empty line comes", async () => {
    const { test, engine } = await start();
    test.post = async (_, response) => {
      begin(response, { type: "queued", position: 1 });
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        response.write(i === 2 ? `${JSON.stringify({ type: "queued", position: 0 })}\n` : "\n");
      }
      response.end(whole.map((event) => `${JSON.stringify(event)}\n`).join(""));
    };
    expect((await run(engine)).map(({ type }) => type)).toEqual(["queued", "queued", "meta", "token", "receipt", "done"]);
  });

  it("does not take a slow reader for a silent worker", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => sendLines(response, ...whole);
    const events = engine.generate(ask(), optionsWith());
    await events.next();
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect((await events.next()).value).toEqual(token);
    await events.return();
  });

  it("answers unavailable where nobody is there, or nobody answers", async () => {
    const { test, engine } = await start();
    await engine.info();
    test.post = () => {};
    await expect(run(engine)).rejects.toMatchObject({ code: "engine_unavailable", message: expect.stringContaining("400 ms") });
    await test.stop();
    await expect(run(engine)).rejects.toMatchObject({ code: "engine_unavailable", message: expect.stringContaining("cannot be reached") });
    await test.start();
    test.post = (_, response) => sendLines(response, ...whole);
    expect(await run(engine)).toEqual(whole);
  });

  it("closes the connection when the run is aborted, and when its reader leaves", async () => {
    const { test, engine } = await start({ runMs: 30_000 });
    test.post = (_, response) => begin(response, meta, token);
    const leaving = new AbortController();
    const aborted = async () => {
      for await (const event of engine.generate(ask(), optionsWith({ signal: leaving.signal })))
        if (event.type === "token") leaving.abort();
    };
    await expect(aborted()).rejects.toMatchObject({ code: "cancelled" });
    await expect.poll(() => test.left).toBe(1);
    for await (const event of engine.generate(ask(), optionsWith())) if (event.type === "token") break;
    await expect.poll(() => test.left).toBe(2);
    // Before the answer has begun, and before anything was sent.
    test.post = () => {};
    const early = new AbortController();
    setTimeout(() => early.abort(), 50);
    await expect(run(engine, ask(), optionsWith({ signal: early.signal }))).rejects.toMatchObject({ code: "cancelled" });
    await expect.poll(() => test.left).toBe(3);
    const asked = test.seen.length;
    await expect(run(engine, ask(), optionsWith({ signal: early.signal }))).rejects.toMatchObject({ code: "cancelled" });
    expect(test.seen).toHaveLength(asked);
  });

  it("refuses another dictionary, another version, and an answer of other weights than the worker says it has", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => sendLines(response, ...whole);
    await expect(run(engine, ask({ dictionary: "m/other" }))).rejects.toMatchObject({ code: "dictionary_not_found" });
    await expect(run(engine, ask({ version: "000000000000" }))).rejects.toMatchObject({ code: "version_mismatch" });
    const other = { ...receipt, dictionary: { ...receipt.dictionary, sha256: "0".repeat(64) } };
    test.post = (_, response) => sendLines(response, meta, { type: "receipt", receipt: other }, { type: "done" });
    await expect(run(engine)).rejects.toMatchObject({ code: "version_mismatch", message: expect.stringContaining("other weights") });
    await expect(new RemoteEngine(test.worker, "m/gone").info()).rejects.toMatchObject({ code: "engine_unavailable" });
  });

  it("decodes no picture for a request beyond the worker's line, none that is too large for it, and sends no more than it takes", async () => {
    const { test, engine } = await start({ runMs: 30_000 });
    test.post = (_, response) => begin(response, meta);
    const leaving = new AbortController();
    const held = [1, 2].map(() => engine.generate(ask(), optionsWith({ signal: leaving.signal })));
    for (const events of held) await events.next();
    const picture = { type: "image" as const, image: { sha256: "e".repeat(64) } };
    const asked = ask({ messages: [{ role: "user", content: [picture, { type: "text", text: "what ?" }] }] });
    const busy = run(engine, asked);
    await expect(busy).rejects.toMatchObject({
      code: "engine_busy",
      message: "The worker is busy and 1 requests are already waiting for it.",
    });
    leaving.abort();
    for (const events of held) await expect(events.next()).rejects.toMatchObject({ code: "cancelled" });
    const shown = (side: number) => async () => ({
      width: side,
      height: side,
      data: new Uint8Array(side * side * 3),
      sha256: "e".repeat(64),
    });
    const large = run(engine, asked, optionsWith({ resolveImage: shown(101) }));
    await expect(large).rejects.toMatchObject({
      code: "too_large",
      message: expect.stringContaining("101 × 101 pixels; the worker takes 10,000"),
    });
    test.info = { ...testInfo, limits: { ...testInfo.limits, requestBytes: 300 } };
    const { test: small, engine: narrow } = await start();
    small.info = test.info;
    await expect(run(narrow, asked, optionsWith({ resolveImage: shown(4) }))).rejects.toMatchObject({ code: "too_large" });
    expect(small.bodies).toEqual([]);
  });
});

describe("RemoteEngine.features", () => {
  const found = { rows: 1, cols: 2, total: 3, features: [{ index: 4, mean: 0.5, peak: 1, map: { positions: [1], values: [1] } }] };
  const input = { dictionary: "m/d", image: { dataUrl: "data:image/png;base64,AAAA" }, limit: 5 };
  const resolveImage = async () => ({ width: 2, height: 1, data: new Uint8Array(6), sha256: "f".repeat(64) });

  it("asks about the picture's pixels and gives maps", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => response.end(JSON.stringify(found));
    expect(await engine.features(input, optionsWith({ resolveImage }))).toEqual({
      ...found,
      features: [{ index: 4, mean: 0.5, peak: 1, map: { positions: new Uint16Array([1]), values: new Float32Array([1]) } }],
    });
    const body = wireAnalyseSchema.parse(JSON.parse(test.bodies[0] as string));
    expect([body.request.image, body.image.sha256]).toEqual([{ sha256: "f".repeat(64) }, "f".repeat(64)]);
  });

  it("fails typed where the answer is none, and stops when told", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => response.end(JSON.stringify({ ...found, features: [{ index: 4, map: {} }] }));
    await expect(engine.features(input, optionsWith({ resolveImage }))).rejects.toMatchObject({ code: "engine_failed" });
    test.post = () => {};
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 30);
    const stopped = engine.features(input, optionsWith({ resolveImage, signal: leaving.signal }));
    await expect(stopped).rejects.toMatchObject({ code: "cancelled" });
  });
});

describe("RemoteEngine.attribute", () => {
  const effect: AttributionEvent = { type: "measured", effects: [{ feature: 3, estimate: 0.5, effect: 0.25 }], done: 1, total: 1 };
  const all: AttributionEvent[] = [
    { type: "queued", position: 0 },
    effect,
    { type: "agreement", n: 1, rankCorrelation: null },
    { type: "done" },
  ];
  const explain = async (engine: RemoteEngine, more: Partial<AttributionRequestInput> = {}, signal = new AbortController().signal) => {
    const events: AttributionEvent[] = [];
    const asked = attributionRequestSchema.parse({ dictionary: "m/d", messages: said, answer: [5, 6], ...more });
    for await (const event of engine.attribute(asked, optionsWith({ signal, unitOf: (feature) => feature / 2 }))) events.push(event);
    return events;
  };

  it("asks about the weights that it looked at, with its clamps' maxima, and passes the events on", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => sendLines(response, ...all);
    expect(await explain(engine, { interventions: [{ feature: 4 }] })).toEqual(all);
    expect(test.seen.at(-1)?.call).toBe("POST /v1/attribute");
    const body = wireAttributeSchema.parse(JSON.parse(test.bodies[0] as string));
    expect(body.request).toMatchObject({ answer: [5, 6], version: testServed.dictionary.sha256.slice(0, 12) });
    expect(body.units).toEqual({ 4: 2 });
  });

  it("throws what the worker refuses, says of one that is too old what to do, and fails typed where the answer breaks off", async () => {
    const { test, engine } = await start();
    test.post = (_, response) => sendError(response, 422, "place_unknown");
    await expect(explain(engine)).rejects.toMatchObject({ code: "place_unknown", message: "Said: place_unknown." });
    test.post = (_, response) => sendError(response, 404, "not_found");
    await expect(explain(engine)).rejects.toMatchObject({ code: "engine_unavailable", fix: "Update the worker." });
    test.post = (_, response) => sendLines(response, effect);
    await expect(explain(engine)).rejects.toMatchObject({ code: "engine_failed" });
    test.post = (_, response) => sendLines(response, { ...effect, total: "many" });
    await expect(explain(engine)).rejects.toMatchObject({ code: "engine_failed" });
    test.post = () => {};
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 30);
    await expect(explain(engine, {}, leaving.signal)).rejects.toMatchObject({ code: "cancelled" });
    await expect(explain(engine, { version: "000000000000" })).rejects.toMatchObject({ code: "version_mismatch" });
  });
});
