/** What real files are like that nobody wrote for us: each is imported right, or refused with a sentence on file, key and remedy. */
import { cp, mkdir, mkdtemp, open, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTensor } from "../safetensors";
import { openTensors } from "../tensor-set";
import { encode } from "./encode";
import { matrixOf } from "./matrix";
import { dictionaryReader } from "./reader";
import { editTensors, fixtures, type RawTensor, rawTensors, readOne, transposed } from "./test-dictionaries";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "facet-odd-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A copy of a fixture, without its sample unless asked. */
async function copy(name: string, { sample = false } = {}): Promise<string> {
  const to = path.join(folder, path.basename(name));
  await cp(path.join(fixtures, name), to, { recursive: true, filter: (file) => sample || !file.endsWith("sample.safetensors") });
  return to;
}
const plain = "sparsify/model.layers.1";
const square = "sparsify-square/layers.5";
const weightsOf = (at: string) => path.join(at, "sae.safetensors");

async function editConfig(file: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(file, "utf8")) as Record<string, unknown>;
  change(json);
  await writeFile(file, JSON.stringify(json));
}
const setConfig = (at: string, values: Record<string, unknown>) =>
  editConfig(path.join(at, "cfg.json"), (json) => Object.assign(json, values));

/** Activations of the fixture's own hidden states. */
async function activations(at: string, fixture: string): Promise<number[]> {
  const hidden = await readTensor(path.join(fixtures, fixture, "sample.safetensors"), "hidden");
  return [...(await encode((await readOne(at)).weights.arithmetic, hidden.data))];
}

/** Multiplies the rows (axis 0) of a float32 matrix by 1, 2, 3, 1, 2, 3, … */
function stretched({ dtype, shape, bytes }: RawTensor): RawTensor {
  const values = new Float32Array(bytes.slice().buffer);
  const cols = shape[1] as number;
  return { dtype, shape, bytes: new Uint8Array(values.map((value, i) => value * (1 + (Math.floor(i / cols) % 3))).buffer) };
}

describe("imported right", () => {
  it("unknown keys and unused ones, a byte-order mark, b_dec of shape [1, D]", async () => {
    const at = await copy(plain);
    const expected = await activations(at, plain);
    await setConfig(at, { multi_topk: true, signed: false, something: { else: [1] } });
    const file = path.join(at, "cfg.json");
    await writeFile(file, `\uFEFF${await readFile(file, "utf8")}`);
    await editTensors(weightsOf(at), (tensors) => {
      tensors.b_dec = { ...(tensors.b_dec as RawTensor), shape: [1, 16] };
    });
    expect(await activations(at, plain)).toEqual(expected);
  });

  it("a signed TopK, as one by size", async () => {
    const at = await copy(plain);
    await setConfig(at, { signed: true });
    const { weights } = await readOne(at);
    expect(weights.activation).toBe("abstopk");
    expect((await activations(at, plain)).some((value) => value < 0)).toBe(false);
    await setConfig(at, { k: 40 });
    expect((await activations(at, plain)).some((value) => value < 0)).toBe(true);
  });

  it("num_latents 0, as width times expansion factor", async () => {
    const config = JSON.parse(await readFile(path.join(fixtures, "sparsify-groupmax/layers.3/cfg.json"), "utf8"));
    expect(config).toMatchObject({ num_latents: 0, expansion_factor: 3, d_in: 16 });
    expect((await readOne(path.join(fixtures, "sparsify-groupmax"))).weights.num_latents).toBe(48);
  });

  it("a missing encoder bias, as zeros", async () => {
    const at = await copy(plain);
    await editTensors(weightsOf(at), (tensors) => {
      delete tensors["encoder.bias"];
    });
    expect(await (await readOne(at)).weights.encoderBias()).toEqual(new Float32Array(40));
  });

  it.each(["W_dec", "encoder.weight"])("%s stored the other way round: its shape tells", async (name) => {
    const at = await copy(plain);
    const expected = await activations(at, plain);
    const before = await (await readOne(at)).weights.decoderRows(3, 9);
    await editTensors(weightsOf(at), (tensors) => {
      tensors[name] = transposed(tensors[name] as RawTensor);
    });
    const part = await readOne(at);
    expect(part.found).toContain(`${name} is stored the other way round than sparsify writes it; its shape tells.`);
    expect(await activations(at, plain)).toEqual(expected);
    expect(await part.weights.decoderRows(3, 9)).toEqual(before);
  });

  it.each<[string, string[]]>([
    ["W_dec", ["W_dec"]],
    ["the encoder", ["encoder.weight"]],
    ["both", ["W_dec", "encoder.weight"]],
  ])("square matrices, %s the other way round: the length of rows tells", async (_, names) => {
    const at = await copy(square);
    const expected = await activations(at, square);
    const before = await (await readOne(at)).weights.decoderRows(0, 16);
    await editTensors(weightsOf(at), (tensors) => {
      for (const name of names) tensors[name] = transposed(tensors[name] as RawTensor);
    });
    const part = await readOne(at);
    for (const name of names) expect(part.found).toContain(`${name} is stored the other way round`);
    expect(await activations(at, square)).toEqual(expected);
    expect(await part.weights.decoderRows(0, 16)).toEqual(before);
  });

  it.each([true, false])("square matrices of rows of any length: the sample tells (with its reconstruction: %s)", async (told) => {
    const at = await copy(square, { sample: true });
    await editTensors(weightsOf(at), (tensors) => {
      tensors.W_dec = stretched(tensors.W_dec as RawTensor);
      // What is read shrinks as much as what is written grows.
      const { dtype, shape, bytes } = tensors["encoder.weight"] as RawTensor;
      const rows = new Float32Array(bytes.slice().buffer).map((value, i) => value / (1 + (Math.floor(i / 16) % 3)));
      tensors["encoder.weight"] = { dtype, shape, bytes: new Uint8Array(rows.buffer) };
    });
    // The largest two are others now, so that the tool's reconstruction is no longer this dictionary's.
    await editTensors(path.join(at, "sample.safetensors"), (tensors) => {
      delete tensors.reconstruction;
    });
    await setConfig(at, { k: 16 });
    const right = (await readOne(at)).weights;
    const before = await right.decoderRows(0, 16);
    if (told) {
      const { decode } = await import("./encode");
      const { hidden } = await rawTensors(path.join(at, "sample.safetensors"));
      const values = new Float32Array((hidden as RawTensor).bytes.slice().buffer);
      const made = await decode(right.arithmetic, await encode(right.arithmetic, values), values);
      await editTensors(path.join(at, "sample.safetensors"), (tensors) => {
        tensors.reconstruction = { ...(hidden as RawTensor), bytes: new Uint8Array(made.buffer) };
      });
    }
    await editTensors(weightsOf(at), (tensors) => {
      tensors.W_dec = transposed(tensors.W_dec as RawTensor);
    });
    const part = await readOne(at);
    expect(part.found).toContain("W_dec is stored the other way round than sparsify writes it; the sample tells.");
    expect(await part.weights.decoderRows(0, 16)).toEqual(before);
    await rm(path.join(at, "sample.safetensors"));
    await expect(readOne(at)).rejects.toMatchObject({ code: "file_invalid", message: expect.stringContaining("W_dec [16, 16]") });
  });

  it("Gemma Scope 1 in the folders it is published in, which say model and hook", async () => {
    const at = path.join(folder, "gemma-scope-2b-pt-res");
    await cp(path.join(fixtures, "gemma-scope"), at, { recursive: true });
    expect(await readOne(at)).toMatchObject({ model: { id: "gemma-2-2b" }, weights: { hook: "model.layers.12", layer: 12 } });
  });

  it("Gemma Scope 2 without settings, whose folders say the hook", async () => {
    const at = await copy("gemma-scope-2");
    const inside = path.join(at, "resid_post/layer_17_width_16k_l0_medium");
    await rm(path.join(inside, "config.json"));
    expect(await readOne(inside)).toMatchObject({ weights: { hook: "model.layers.17" } });
  });

  it("sparsify's whole run, whose settings name the model", async () => {
    await copy(plain);
    await writeFile(path.join(folder, "config.json"), '{"model": "llava-hf/llama3-llava-next-8b-hf", "sae": {}}');
    expect((await readOne(folder)).model).toEqual({ id: "llava-hf-llama3-llava-next-8b-hf", name: "llava-hf/llama3-llava-next-8b-hf" });
    await writeFile(path.join(folder, "config.json"), "not JSON, and none of ours");
    expect((await readOne(folder)).model).toBeUndefined();
  });

  it("an architecture that nobody here knows, to browse", async () => {
    const at = await copy("sae-lens-standard");
    await setConfig(at, { architecture: "temporal_sparse" });
    const part = await readOne(at);
    expect(part.weights.activation).toBe("temporal_sparse");
    expect(part.found).toContain('Facet does not compute "temporal_sparse" dictionaries');
    expect(part.found).toContain("No engine of Facet's runs it");
  });

  it("says where Facet's own engine computes such dictionaries, and where none does", async () => {
    expect((await readOne(path.join(fixtures, plain))).found).toContain("Facet's engine computes such dictionaries");
    for (const name of ["sae-lens-jumprelu", "sae-lens-layer-norm", "sparsify-transcoder"]) {
      expect((await readOne(path.join(fixtures, name))).found).toContain("No engine of Facet's runs it");
    }
  });

  it("a transcoder that writes another width than it reads", async () => {
    const at = await copy("sae-lens-standard");
    await setConfig(at, { architecture: "transcoder", d_in: 16, d_out: 3, apply_b_dec_to_input: false });
    await editTensors(path.join(at, "sae_weights.safetensors"), (tensors) => {
      const bytes = new Uint8Array(Float32Array.from({ length: 120 }, (_, i) => i).buffer);
      tensors.W_dec = { dtype: "F32", shape: [40, 3], bytes };
      tensors.b_dec = { dtype: "F32", shape: [3], bytes: new Uint8Array(12) };
    });
    const { weights } = await readOne(at);
    // The width is that of what is written, which neighbours are compared by.
    expect(weights).toMatchObject({ num_latents: 40, width: 3, subtract_b_dec: false });
    expect([...(await weights.decoderRows(1, 2))]).toEqual([3, 4, 5]);
    expect((await weights.encoderRows(0, 40)).length).toBe(40 * 16);
  });

  it("says which tensors were not read", async () => {
    const at = await copy(plain);
    await editTensors(weightsOf(at), (tensors) => {
      tensors.encoder_bias = tensors["encoder.bias"] as RawTensor;
      delete tensors["encoder.bias"];
    });
    expect((await readOne(at)).found).toContain("also holds encoder_bias, which was not read");
  });
});

describe("refused", () => {
  const float = (value: number) => new Uint8Array(Float32Array.of(value).buffer);
  it.each<[string, (at: string) => Promise<unknown>, RegExp, RegExp]>([
    [
      "NaN in weights",
      (at) => editTensors(weightsOf(at), (t) => void t["encoder.weight"]?.bytes.set(float(Number.NaN), 68)),
      /encoder\.weight \[40, 16\] of .*sae\.safetensors holds NaN or an infinity at \[1, 1\]/,
      /finite/,
    ],
    [
      "infinity in a bias",
      (at) => editTensors(weightsOf(at), (t) => void t.b_dec?.bytes.set(float(Number.POSITIVE_INFINITY), 8)),
      /b_dec \[16\] .* at \[2\]/,
      /finite/,
    ],
    ["an empty file", (at) => truncate(weightsOf(at), 0), /sae\.safetensors .*has 0 bytes/, /again/],
    ["a truncated file", (at) => truncate(weightsOf(at), 3_000), /sae\.safetensors .*ends at byte/, /again/],
    ["no settings", (at) => rm(path.join(at, "cfg.json")), /no cfg\.json lies beside it to say "k"/, /Copy the cfg\.json/],
    ["empty settings", (at) => writeFile(path.join(at, "cfg.json"), ""), /cfg\.json is empty/, /again/],
    [
      "a key twice",
      (at) => writeFile(path.join(at, "cfg.json"), '{"d_in": 16, "k": 2, "k": 4}'),
      /cfg\.json has the key "k" twice/,
      /Remove one/,
    ],
    ["k that is missing", (at) => setConfig(at, { k: undefined }), /cfg\.json lacks "k"/, /Add the key/],
    ["k that is no number", (at) => setConfig(at, { k: "32" }), /cfg\.json: "k" is "32" and should be a whole number/, /Correct/],
    ["k beyond the latents", (at) => setConfig(at, { k: 41 }), /cfg\.json: "k" is 41 of 40 latents/, /Correct/],
    ["another width", (at) => setConfig(at, { d_in: 4096 }), /cfg\.json: "d_in" makes 4096 dimensions, and .* has 16/, /same dictionary/],
    [
      "another size",
      (at) => setConfig(at, { num_latents: 131072 }),
      /"num_latents" makes 131072 latents, and .* has 40/,
      /same dictionary/,
    ],
    ["signed groups", (at) => setConfig(at, { signed: true, activation: "groupmax" }), /cfg\.json: "signed" goes with/, /Correct/],
    [
      "a type of 8 bits",
      (at) => editTensors(weightsOf(at), (t) => Object.assign(t, { W_dec: { dtype: "I8", shape: [40, 16], bytes: new Uint8Array(640) } })),
      /W_dec of .* is stored as I8/,
      /float16/,
    ],
    [
      "three axes",
      (at) => editTensors(weightsOf(at), (t) => Object.assign(t.W_dec as RawTensor, { shape: [40, 2, 8] })),
      /W_dec \[40, 2, 8\] .*more than two axes/,
      /one place/,
    ],
    [
      "matrices of different dictionaries",
      (at) =>
        editTensors(weightsOf(at), (t) => Object.assign(t, { W_dec: { dtype: "F32", shape: [50, 20], bytes: new Uint8Array(4_000) } })),
      /do not fit together/,
      /same dictionary/,
    ],
  ])("%s", async (_, spoil, says, remedy) => {
    const at = await copy(plain);
    await spoil(at);
    await expect(dictionaryReader.read(at, {})).rejects.toMatchObject({
      message: expect.stringMatching(says),
      fix: expect.stringMatching(remedy),
    });
  });

  it("a sample that it does not reconstruct", async () => {
    const at = await copy(plain);
    await cp(path.join(fixtures, "sae-lens-topk/sample.safetensors"), path.join(at, "sample.safetensors"));
    await expect(readOne(at)).rejects.toThrow(/does not give back .*sample\.safetensors/);
  });

  it("a sample of another width", async () => {
    const at = await copy(plain);
    await cp(path.join(fixtures, plain, "sample.safetensors"), path.join(at, "sample.safetensors"));
    await editTensors(path.join(at, "sample.safetensors"), (tensors) => {
      tensors.hidden = { ...(tensors.hidden as RawTensor), shape: [12, 8] };
    });
    await expect(readOne(at)).rejects.toThrow(/"hidden" has the shape \[12, 8\] and should have \[N, 16\]/);
  });

  it("k that settings and weights give differently", async () => {
    const at = await copy("dictionary-learning-topk");
    await editConfig(path.join(at, "config.json"), (json) => Object.assign(json.trainer as object, { k: 3 }));
    await expect(readOne(at)).rejects.toThrow(/"trainer\.k" is 3, and the tensor "k" of .* is 2/);
  });

  it("a class that nobody knows", async () => {
    const at = await copy("dictionary-learning-topk");
    await editConfig(path.join(at, "config.json"), (json) => Object.assign(json.trainer as object, { dict_class: "Mine" }));
    await expect(readOne(at)).rejects.toThrow(/"trainer\.dict_class" is "Mine"/);
  });

  it.each(["", "ae.pt"])("a pickle, which is never loaded: the command that converts it is said (%s)", async (name) => {
    const given = path.join(fixtures, "dictionary-learning-pickle", name);
    for (const ask of [dictionaryReader.recognise, dictionaryReader.read]) {
      await expect(ask(given, {})).rejects.toMatchObject({
        code: "unsafe_format",
        message: expect.stringContaining("ae.pt is a pickle"),
        fix: expect.stringContaining("torch.load('ae.pt', map_location='cpu', weights_only=True)"),
      });
    }
  });

  it("a pickle under another name, and one of an old protocol", async () => {
    const file = path.join(folder, "weights");
    await cp(path.join(fixtures, "dictionary-learning-pickle/ae.pt"), file);
    await expect(dictionaryReader.recognise(file)).rejects.toMatchObject({ code: "unsafe_format" });
    await writeFile(file, Buffer.from([0x80, 2, 0x7d, 0x71, 0]));
    await expect(dictionaryReader.recognise(file)).rejects.toMatchObject({ code: "unsafe_format" });
  });
});

describe("not recognised", () => {
  it("what is of another kind", async () => {
    await mkdir(path.join(folder, "cache"));
    await cp(path.join(fixtures, plain, "sample.safetensors"), path.join(folder, "cache/0_1023.safetensors"));
    await writeFile(path.join(folder, "cache/config.json"), "{}");
    expect(await dictionaryReader.recognise(folder)).toBeNull();
    expect(await dictionaryReader.recognise(path.join(folder, "cache/config.json"))).toBeNull();
  });

  it("by name alone: the same files under other names are the same dictionary", async () => {
    const at = await copy("sae-lens-jumprelu");
    await rename(path.join(at, "sae_weights.safetensors"), path.join(at, "anything.safetensors"));
    expect(await dictionaryReader.recognise(at)).toEqual({ found: "A SAELens dictionary." });
  });
});

describe("memory", () => {
  it("is that of a block, whichever way 131,072 × 4,096 weights are stored", async () => {
    const file = path.join(folder, "large.safetensors");
    const header = Buffer.from(
      JSON.stringify({
        W_dec: { dtype: "F16", shape: [131_072, 4_096], data_offsets: [0, 2 ** 30] },
        W_enc: { dtype: "F16", shape: [4_096, 131_072], data_offsets: [2 ** 30, 2 ** 31] },
      }),
    );
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const handle = await open(file, "w");
    await handle.write(Buffer.concat([length, header]));
    // A hole: no disk is used.
    await handle.truncate(8 + header.length + 2 ** 31);
    await handle.write(Buffer.from([0x00, 0x3c]), 0, 2, 8 + header.length + 2 * (131_071 * 4_096 + 5));
    await handle.write(Buffer.from([0x00, 0x3c]), 0, 2, 8 + header.length + 2 ** 30 + 2 * (5 * 131_072 + 131_071));
    await handle.close();
    const { tensors } = await openTensors(file);
    const before = process.memoryUsage().rss;
    for (const [name, axis] of [
      ["W_dec", 0],
      ["W_enc", 1],
    ] as const) {
      const tensor = tensors.get(name);
      if (!tensor) throw new Error("unreachable");
      const rows = await matrixOf(tensor, axis).read(131_040, 131_072);
      expect(rows.length).toBe(32 * 4_096);
      expect(rows[31 * 4_096 + 5]).toBe(1);
    }
    expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(200);
  });
});
