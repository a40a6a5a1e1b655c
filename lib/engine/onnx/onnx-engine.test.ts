import path from "node:path";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "@/lib/core/preprocess";
import { pixelValues } from "@/lib/core/preprocess";
import type { GenerateRequest, ImageRef } from "@/lib/core/protocol";
import { generateRequestSchema } from "@/lib/core/protocol";
import { argmax } from "@/lib/core/sampling";
import { env } from "@/lib/env";
import { readTensor } from "@/lib/formats/safetensors";
import { describeEngine } from "../conformance";
import { type EngineUnderTest, pictures, type Weights } from "../conformance-checks";
import { createEngines, readManifest } from "../registry";
import { parseManifest } from "./load";
import { OnnxEngine } from "./onnx-engine";
import { assemblePrompt } from "./prompt";
import type { NodeRuntime } from "./runtime-node";

const folder = env.engineDir;

/** A disc on a graded ground: some edges and some flat parts. */
function picture(side = 384, [x0, y0] = [0.4, 0.6]): RgbImage {
  const data = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const inside = Math.hypot(x - side * x0, y - side * y0) < side / 4;
      data.set(inside ? [230, 60, 40] : [120, Math.round((160 * y) / side), 200], (y * side + x) * 3);
    }
  }
  return { width: side, height: side, data };
}

async function manifestOf() {
  const text = await readManifest(folder);
  if (text === null)
    throw new Error(`No model at ${folder}. Make it with the recipe in demo/README.md, or name another folder in FACET_ENGINE_DIR.`);
  return parseManifest(text);
}

async function weightsOf(file: string, k: number): Promise<Weights> {
  const [encoder, encoderBias, decoder, decoderBias] = await Promise.all(
    ["encoder.weight", "encoder.bias", "W_dec", "b_dec"].map(async (name) => readTensor(file, name)),
  );
  if (!encoder || !encoderBias || !decoder || !decoderBias) throw new Error("unreachable");
  const [numLatents, width] = decoder.shape as [number, number];
  return {
    k,
    numLatents,
    width,
    encoder: encoder.data,
    encoderBias: encoderBias.data,
    decoder: decoder.data,
    decoderBias: decoderBias.data,
  };
}

const shown = (image: ImageRef) => ("sha256" in image && image.sha256 === pictures[1].sha256 ? picture(240, [0.7, 0.2]) : picture());
const resolveImage = async (image: ImageRef) => ({ ...shown(image), sha256: "sha256" in image ? image.sha256 : pictures[0].sha256 });

async function create(limits: { concurrency: number; bound: number }): Promise<EngineUnderTest> {
  const manifest = await manifestOf();
  const [dictionary] = manifest.dictionaries;
  if (!dictionary) throw new Error("engine.json names no dictionary.");
  const ref = `${manifest.model.id}/${dictionary.id}`;
  const engine = createEngines(folder, manifest, limits).get(ref) as OnnxEngine;
  const { model, codec } = await engine.loaded();
  const promptOf = (request: GenerateRequest) => assemblePrompt(request.messages, request.sampling.maxTokens, manifest, codec);
  return {
    engine,
    dictionary: ref,
    weights: await weightsOf(path.join(folder, dictionary.folder, "sae.safetensors"), dictionary.k),
    resolveImage,
    unwritable: "xylophonist",
    layout: async (request) => promptOf(request).layout,
    plainGreedy: async (request, tokens) => {
      const { ids, layout, images } = promptOf(request);
      const grids = await model.vision(images.map((image) => pixelValues(shown(image), manifest.image.size, manifest.image)));
      const written: number[] = [];
      while (written.length < tokens) {
        const embeds = await model.embed([...ids, ...written]);
        for (const [i, { start }] of layout.images.entries()) embeds.set(grids[i] as Float32Array, start * model.width);
        const lower = await model.lower(embeds, null);
        const upper = await model.upper(lower.states, null);
        model.release(lower.cache, upper.cache);
        const next = argmax(upper.last[0] as Float32Array);
        if (next === manifest.tokens.eos) break;
        written.push(next);
      }
      return written;
    },
  };
}

describeEngine("onnx", { create });

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
