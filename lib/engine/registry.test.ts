import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseManifest } from "./onnx/load";
import { createEngines, readManifest } from "./registry";

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
