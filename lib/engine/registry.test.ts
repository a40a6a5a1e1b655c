import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { env } from "@/lib/env";
import { startTestWorker, type TestWorker, testInfo, testServed } from "@/lib/workers/test-worker";
import { parseManifest } from "./onnx/load";
import { OnnxEngine } from "./onnx/onnx-engine";
import { createEngines, engineFor, readManifest } from "./registry";
import { RemoteEngine } from "./remote/remote-engine";

const manifest = {
  format: "facet-engine/1",
  model: { id: "m", name: "M", sha256: "0".repeat(64) },
  image: { size: 4, patch: 2, rows: 2, cols: 2, mean: [0, 0, 0], std: [1, 1, 1], resample: "bilinear" },
  tokens: { image: 4, bos: 2, eos: 3, pad: 0, max_positions: 40 },
  chat: { prefix: "", user: "", image: "", text: " ", assistant: "", end: "" },
  decoder: { layers: 2, kv_heads: 1, head_dim: 2, width: 2 },
  dictionaries: [0, 1].map((layer) => ({
    id: `model.layers.${layer}`,
    hook: `model.layers.${layer}`,
    layer,
    folder: ".",
    sha256: "0".repeat(64),
    k: 1,
    num_latents: 2,
    lower: "l.onnx",
    upper: "u.onnx",
    encode: "e.onnx",
  })),
};

describe("registry", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "facet-engine-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("has an engine for each dictionary, and loads nothing before one is used", () => {
    const engines = createEngines(folder, parseManifest(JSON.stringify(manifest)));
    expect([...engines.keys()]).toEqual(["m/model.layers.0", "m/model.layers.1"]);
  });

  it("tells a folder without a model from one whose engine.json is damaged", async () => {
    expect(await readManifest(folder)).toBeNull();
    await writeFile(path.join(folder, "engine.json"), "{");
    const text = await readManifest(folder);
    expect(() => parseManifest(text ?? "")).toThrow(expect.objectContaining({ code: "engine_unavailable", status: 503 }));
    expect(() => parseManifest(JSON.stringify({ ...manifest, format: "facet-engine/9" }))).toThrow();
  });

  it("answers engine_unavailable with a sentence where files are missing", async () => {
    const [engine] = createEngines(folder, parseManifest(JSON.stringify(manifest))).values();
    await expect(engine?.info()).rejects.toMatchObject({ code: "engine_unavailable", message: "A file of the model is missing." });
  });
});

describe("engineFor, with workers", () => {
  const open: TestWorker[] = [];
  afterEach(async () => {
    for (const one of open.splice(0)) await one.stop();
  });
  const start = async (ref = "m/d") => {
    const test = await startTestWorker({ freshMs: 0 });
    test.info = { ...testInfo, dictionaries: [{ ...testServed, dictionary: { ...testServed.dictionary, ref } }] };
    open.push(test);
    return test;
  };
  const own = async () => {
    const { model, dictionaries } = parseManifest((await readManifest(env.engineDir)) ?? "");
    return `${model.id}/${dictionaries[0]?.id}`;
  };

  it("takes a worker before this process for a dictionary of both, and this process while the worker is away", async () => {
    const ref = await own();
    const test = await start(ref);
    expect(await engineFor(ref, [])).toBeInstanceOf(OnnxEngine);
    expect(await engineFor(ref, [test.worker])).toBeInstanceOf(RemoteEngine);
    await test.stop();
    expect(await engineFor(ref, [test.worker])).toBeInstanceOf(OnnxEngine);
    await test.start();
    expect(await engineFor(ref, [test.worker])).toBeInstanceOf(RemoteEngine);
  });

  it("takes the first worker that answers and serves it", async () => {
    const [one, two] = [await start(), await start()];
    const all = [one.worker, two.worker];
    const info = async () => (await engineFor("m/d", all))?.info();
    two.info = { ...testInfo, dictionaries: [{ ...testServed, model: { ...testServed.model, name: "the second" } }] };
    expect((await info())?.model.name).toBe("M");
    await one.stop();
    expect((await info())?.model.name).toBe("the second");
    await one.start();
    expect((await info())?.model.name).toBe("M");
  });

  it("gives for what an absent worker has, or may have, an engine that says so; null for what nobody has", async () => {
    const test = await start();
    expect(await engineFor("m/else", [test.worker])).toBeNull();
    expect(await engineFor("m/else", [])).toBeNull();
    await test.stop();
    const gone = await engineFor("m/d", [test.worker]);
    await expect(gone?.info()).rejects.toMatchObject({
      code: "engine_unavailable",
      fix: expect.stringContaining("Start the worker again"),
    });
    expect(await engineFor("m/else", [test.worker])).toBeNull();
    const never = await startTestWorker();
    await never.stop();
    await expect((await engineFor("m/else", [never.worker]))?.info()).rejects.toMatchObject({ code: "engine_unavailable" });
    await test.start();
    expect((await gone?.info())?.dictionary.ref).toBe("m/d");
  });
});
