import { describe, expect, it } from "vitest";
import type { GenerateRequest } from "@/lib/core/protocol";
import { generateRequestSchema } from "@/lib/core/protocol";
import { describeEngine } from "../conformance";
import { pictures } from "../conformance-checks";
import { localSubject as create, folder, manifestOf, resolveImage } from "../conformance-subject";
import { createEngines } from "../registry";
import { OnnxEngine } from "./onnx-engine";
import type { NodeRuntime } from "./runtime-node";

describeEngine("onnx", {
  capabilities: { tapWrites: true, exactBeside: true, exactLogprobs: true, receiptsAfterAbort: true, attributes: true },
  create,
});

describe("OnnxEngine", () => {
  const signal = new AbortController().signal;
  const ask = (ref: string, more = {}) =>
    generateRequestSchema.parse({
      dictionary: ref,
      messages: [{ role: "user", content: [{ type: "text", text: "is there a dog ?" }] }],
      ...more,
    });
  const first = async (engine: OnnxEngine, request: GenerateRequest) =>
    engine
      .generate(request, { signal, resolveImage, unitOf: () => 1 })
      [Symbol.asyncIterator]()
      .next();

  it("refuses another dictionary and another version", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 1 });
    await expect(first(engine as OnnxEngine, ask("other/one"))).rejects.toMatchObject({ code: "dictionary_not_found" });
    await expect(first(engine as OnnxEngine, ask(dictionary, { version: "000000000000" }))).rejects.toMatchObject({
      code: "version_mismatch",
    });
  });

  it("refuses prompts that are empty, too long, out of turn or hold the model's markers", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 1 });
    const say = (...texts: [string, string][]) =>
      ask(dictionary, { messages: texts.map(([role, text]) => ({ role, content: [{ type: "text", text }] })) });
    const refused = (request: GenerateRequest) => expect(first(engine as OnnxEngine, request)).rejects;
    await refused(say(["user", "  "])).toMatchObject({ code: "prompt_empty" });
    await refused(say(["user", "dog ".repeat(1_500)])).toMatchObject({ code: "prompt_too_long", message: expect.stringContaining("1503") });
    await refused(say(["user", "a <image> b"])).toMatchObject({ code: "invalid_request", message: expect.stringContaining("<image>") });
    await refused(say(["user", "a"], ["assistant", "b"])).toMatchObject({ code: "invalid_request" });
    await refused(say(["assistant", "a"], ["user", "b"])).toMatchObject({ code: "invalid_request" });
  });

  it("says in each receipt what it was asked, and about which pictures", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 1 });
    const content = [
      { type: "image", image: { dataUrl: "data:image/png;base64,AAAA" } },
      { type: "text", text: "is there a dog ?" },
    ];
    const asked = ask(dictionary, { messages: [{ role: "user", content }], sampling: { maxTokens: 2 } });
    const images = [];
    for await (const event of engine.generate(asked, { signal, resolveImage, unitOf: () => 1 })) {
      if (event.type === "receipt") images.push(event.receipt.prompt);
    }
    const prompt = { text: expect.stringContaining("is there a dog ?"), images: ["0".repeat(64)] };
    expect(images).toEqual([prompt, prompt]);
  });

  it("decodes no picture for a request that the full line turns away", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 0 });
    const holding = engine.generate(ask(dictionary), { signal, resolveImage, unitOf: () => 1 })[Symbol.asyncIterator]();
    await holding.next();
    let decoded = 0;
    const counted = async () => {
      decoded++;
      return resolveImage(pictures[0]);
    };
    const content = [
      { type: "image", image: { sha256: "0".repeat(64) } },
      { type: "text", text: "what ?" },
    ];
    const asked = ask(dictionary, { messages: [{ role: "user", content }] });
    const refused = engine.generate(asked, { signal, resolveImage: counted, unitOf: () => 1 })[Symbol.asyncIterator]();
    await expect(refused.next()).rejects.toMatchObject({ code: "engine_busy" });
    expect(decoded).toBe(0);
    await holding.return?.();
  });

  it("decodes one picture at a time, and none for an analysis that the full line turns away", async () => {
    const { engine, dictionary } = await create({ concurrency: 2, bound: 0 });
    let [open, most, decoded] = [0, 0, 0];
    const slow = async () => {
      decoded++;
      most = Math.max(most, ++open);
      await new Promise((resolve) => setTimeout(resolve, 20));
      open--;
      return resolveImage(pictures[0]);
    };
    const image = { sha256: "0".repeat(64) };
    const content = [
      { type: "image", image },
      { type: "text", text: "what ?" },
    ];
    const asked = ask(dictionary, { messages: [{ role: "user", content }], sampling: { maxTokens: 1 } });
    const options = { signal, resolveImage: slow, unitOf: () => 1 };
    const generated = async () => {
      for await (const _ of engine.generate(asked, options));
    };
    const analysis = { dictionary, image, limit: 1 };
    const all = Promise.all([generated(), generated(), engine.features(analysis, options)]);
    await expect(engine.features(analysis, options)).rejects.toMatchObject({ code: "engine_busy" });
    await all;
    expect([most, decoded]).toEqual([1, 3]);
  });

  it("gives its turn on where a request is refused after it had its place", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 0 });
    await expect(
      first(engine as OnnxEngine, ask(dictionary, { interventions: [{ feature: 1, scope: { type: "image" } }] })),
    ).rejects.toThrow();
    const events = [];
    for await (const event of engine.generate(ask(dictionary), { signal, resolveImage, unitOf: () => 1 })) events.push(event.type);
    expect(events.at(-1)).toBe("done");
  });

  it("keeps no cache of a run that ended, was left or was aborted", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 1 });
    const runtime = (await (engine as OnnxEngine).loaded()).model.runtime as NodeRuntime;
    const asked = ask(dictionary, { interventions: [{ feature: 1, unit: "raw", scope: { type: "all" } }], sampling: { maxTokens: 4 } });
    const options = { signal, resolveImage, unitOf: () => 1 };
    for await (const _ of engine.generate(asked, options));
    expect(await runtime.keptTensors()).toBe(0);
    for await (const event of engine.generate(asked, options)) if (event.type === "token") break;
    expect(await runtime.keptTensors()).toBe(0);
    await engine.features({ dictionary, image: { sha256: "0".repeat(64) }, limit: 1 }, options);
    expect(await runtime.keptTensors()).toBe(0);
  });

  it("fails a run whose thread dies half-way, and starts another for the next", async () => {
    const { engine, dictionary } = await create({ concurrency: 1, bound: 1 });
    const runtime = (await (engine as OnnxEngine).loaded()).model.runtime as NodeRuntime;
    const asked = ask(dictionary, { sampling: { maxTokens: 4 } });
    const options = { signal, resolveImage, unitOf: () => 1 };
    const dying = async () => {
      for await (const event of engine.generate(asked, options)) if (event.type === "token") await runtime.end();
    };
    await expect(dying()).rejects.toMatchObject({ code: "engine_failed" });
    const events = [];
    for await (const event of engine.generate(asked, options)) events.push(event.type);
    expect(events.at(-1)).toBe("done");
  });

  it("answers engine_unavailable while its files are wrong, and loads once they are right", async () => {
    const manifest = await manifestOf();
    const [dictionary] = manifest.dictionaries;
    if (!dictionary) throw new Error("engine.json names no dictionary.");
    let attempts = 0;
    const { engine } = await create({ concurrency: 1, bound: 1 });
    const loaded = await (engine as OnnxEngine).loaded();
    const queue = { concurrency: 1, bound: 1 };
    const wrong = createEngines(folder, { ...manifest, model: { ...manifest.model, sha256: "0".repeat(64) } }, queue);
    await expect([...wrong.values()][0]?.info()).rejects.toMatchObject({
      code: "engine_unavailable",
      message: expect.stringContaining("model.safetensors"),
    });
    const { RequestQueue } = await import("../queue");
    const flaky = new OnnxEngine(
      manifest,
      dictionary,
      async () => {
        if (attempts++ === 0) throw new Error("not yet");
        return loaded;
      },
      new RequestQueue(1, 1),
      new RequestQueue(1, 1),
    );
    await expect(flaky.info()).rejects.toThrow("not yet");
    expect((await flaky.info()).dictionary.sha256).toBe(dictionary.sha256);
  });
});
