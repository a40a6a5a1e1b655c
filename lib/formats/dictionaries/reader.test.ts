/** Against what the tools' own packages computed (worker/make_fixtures/dictionaries.py, own.py), number by number. */
import { cp, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTensor } from "../safetensors";
import { decode, encode } from "./encode";
import { fixtures, readOne } from "./test-dictionaries";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-dictionaries-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Largest difference, relative to the larger value, where both are on. */
function farthest(ours: Float32Array, theirs: Float32Array): number {
  let most = 0;
  for (let i = 0; i < theirs.length; i++) {
    const a = ours[i] as number;
    const b = theirs[i] as number;
    if (a !== b) most = Math.max(most, Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b)));
  }
  return most;
}

const on = (values: Float32Array) => [...values.keys()].filter((i) => values[i] !== 0);

const resid = (layer: number) => ({ hook: `model.layers.${layer}`, layer });
const dl = { ...resid(8), num_latents: 40, width: 16 };
const lens = { ...resid(12), num_latents: 40, width: 16 };

describe.each<[string, string, Record<string, unknown>, string | null]>([
  ["sparsify/model.layers.1", "sparsify", { ...resid(1), num_latents: 40, activation: "topk", k: 2, subtract_b_dec: true }, null],
  ["sparsify-sharded/model.layers.1", "sparsify", { ...resid(1), num_latents: 40, activation: "topk", k: 2 }, null],
  ["sparsify-groupmax/layers.3", "sparsify", { ...resid(3), num_latents: 48, activation: "groupmax", k: 2 }, null],
  [
    "sparsify-transcoder/layers.2.mlp",
    "sparsify",
    { hook: "layers.2.mlp", layer: 2, num_latents: 40, activation: "topk", subtract_b_dec: false },
    null,
  ],
  ["sparsify-square/layers.5", "sparsify", { ...resid(5), num_latents: 16, width: 16 }, null],
  ["sae-lens-turned", "SAELens", { ...resid(5), num_latents: 16, width: 16, activation: "topk" }, "sparsify-square"],
  ["sae-lens-standard", "SAELens", { ...lens, activation: "relu", k: null }, "gemma-2-2b"],
  ["sae-lens-topk", "SAELens", { ...lens, activation: "topk", k: 2 }, "gemma-2-2b"],
  ["sae-lens-jumprelu", "SAELens", { ...lens, activation: "jumprelu", subtract_b_dec: false }, "gemma-2-2b"],
  ["sae-lens-gated", "SAELens", { ...lens, activation: "gated" }, "gemma-2-2b"],
  ["sae-lens-batchtopk", "SAELens", { ...lens, activation: "jumprelu" }, "gemma-2-2b"],
  ["sae-lens-layer-norm", "SAELens", { ...lens, activation: "topk", input_norm: "layer_norm" }, "gemma-2-2b"],
  ["sae-lens-old", "SAELens", { ...resid(3), num_latents: 40, activation: "topk", k: 2 }, "gpt2-small"],
  ["gemma-scope/layer_12/width_16k/average_l0_82", "Gemma Scope", { hook: null, num_latents: 40, activation: "jumprelu" }, null],
  [
    "gemma-scope-2/resid_post/layer_17_width_16k_l0_medium",
    "Gemma Scope 2",
    { ...resid(17), num_latents: 40, activation: "jumprelu", subtract_b_dec: false },
    "gemma-v3-4b-it",
  ],
  [
    "gemma-scope-2/transcoder/layer_17_width_16k_l0_small_affine",
    "Gemma Scope 2",
    { hook: "model.layers.17.pre_feedforward_layernorm.output", layer: 17, activation: "jumprelu" },
    "gemma-v3-4b-it",
  ],
  ["dictionary-learning-topk", "dictionary_learning", { ...dl, activation: "topk", k: 2 }, "EleutherAI-pythia-70m-deduped"],
  ["dictionary-learning-batchtopk", "dictionary_learning", { ...dl, activation: "batchtopk", k: 2 }, "EleutherAI-pythia-70m-deduped"],
  ["dictionary-learning-standard", "dictionary_learning", { ...dl, activation: "relu", k: null }, "EleutherAI-pythia-70m-deduped"],
  [
    "dictionary-learning-april",
    "dictionary_learning",
    { ...dl, activation: "relu", subtract_b_dec: false },
    "EleutherAI-pythia-70m-deduped",
  ],
  ["dictionary-learning-gated", "dictionary_learning", { ...dl, activation: "gated" }, "EleutherAI-pythia-70m-deduped"],
  ["dictionary-learning-jumprelu", "dictionary_learning", { ...dl, activation: "jumprelu" }, "EleutherAI-pythia-70m-deduped"],
  ["dictionary-learning-matryoshka", "dictionary_learning", { ...dl, activation: "batchtopk" }, "EleutherAI-pythia-70m-deduped"],
  ["adapter", "PEFT adapter", { ...resid(24), num_latents: 40, activation: "topk", k: 2 }, "llava-hf-llama3-llava-next-8b-hf"],
  ["own-batchtopk", "facet-worker", { ...resid(6), num_latents: 40, width: 16, activation: "batchtopk", k: 2, subtract_b_dec: true }, null],
  ["own-jumprelu", "facet-worker", { ...resid(6), num_latents: 40, activation: "jumprelu", k: null, subtract_b_dec: false }, null],
  ["own-gated", "facet-worker", { ...resid(6), num_latents: 40, activation: "gated" }, null],
])("%s", (name, format, facts, model) => {
  it("is recognised, with what its files say", async () => {
    const part = await readOne(path.join(fixtures, name));
    expect(part.format).toBe(format);
    expect(part.weights).toMatchObject(facts);
    if (model === null) expect(part.model).toBeUndefined();
    else expect(part.model?.id).toBe(model);
    expect(part.weights.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  // What is beside the weights to check them must not be what makes the numbers right.
  it.each([true, false])("computes what its own package computes (sample beside it: %s)", async (beside) => {
    const source = path.join(fixtures, name);
    const sample = path.join(source, "sample.safetensors");
    const [hidden, activations, reconstruction] = await Promise.all(
      ["hidden", "activations", "reconstruction"].map((key) => readTensor(sample, key)),
    );
    let given = source;
    if (!beside) {
      given = path.join(folder, name);
      await cp(source, given, { recursive: true, filter: (file) => !file.endsWith("sample.safetensors") });
    }
    const { arithmetic } = (await readOne(given)).weights;
    if (!hidden || !activations || !reconstruction) throw new Error("unreachable");
    const ours = await encode(arithmetic, hidden.data);
    expect(on(ours)).toEqual(on(activations.data));
    expect(on(ours).length).toBeGreaterThan(0);
    expect(farthest(ours, activations.data)).toBeLessThan(1e-5);
    const made = await decode(arithmetic, ours, hidden.data);
    const scale = Math.max(...reconstruction.data.map(Math.abs));
    expect(Math.max(...made.map((value, i) => Math.abs(value - (reconstruction.data[i] as number)))) / scale).toBeLessThan(1e-5);
  });
});

describe("a folder of several dictionaries", () => {
  it("gives a part for each", async () => {
    const { dictionaryReader } = await import("./reader");
    const parts = await dictionaryReader.read(path.join(fixtures, "gemma-scope-2"), {});
    expect(parts.map((part) => part.format)).toEqual(["Gemma Scope 2", "Gemma Scope 2"]);
  });

  it("every fixture is tested", async () => {
    expect((await readdir(fixtures)).length).toBe(27);
  });
});
