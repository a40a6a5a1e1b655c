/** From the engine's files on disk to a model that runs; their hashes are checked first. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { FacetError } from "@/lib/core/errors";
import { readTensor } from "@/lib/formats/safetensors";
import { CutModel } from "./cut-model";
import { type EngineDictionary, type EngineManifest, engineManifestSchema } from "./manifest";
import { openedOnce } from "./opened-once";
import type { Runtime, Session } from "./runtime";
import { type NodeRuntimeOptions, nodeRuntime } from "./runtime-node";
import { TextCodec } from "./text";
import { hookWeights, type SharedWeights } from "./token-hook.mjs";

export const manifestFile = "engine.json";

/** What all dictionaries of one model share. */
export interface SharedModel {
  runtime: Runtime;
  codec: TextCodec;
  vision: Session;
  embed: Session;
}

export interface LoadedEngine {
  model: CutModel;
  codec: TextCodec;
}

/** Throws `engine_unavailable` when engine.json is not what docs/formats.md says. */
export function parseManifest(text: string): EngineManifest {
  try {
    return engineManifestSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new FacetError("engine_unavailable", "The model's engine.json cannot be read.", { fix: "Export the model again.", cause });
  }
}

async function checkHash(file: string, sha256: string): Promise<void> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  const found = hash.digest("hex");
  if (found !== sha256) {
    throw new FacetError(
      "engine_unavailable",
      `${path.basename(file)} is not the file that engine.json was made with (SHA-256 ${found.slice(0, 12)}…).`,
      {
        fix: "Export the model again, so that engine.json and the weights agree.",
      },
    );
  }
}

/** Any failure becomes `engine_unavailable` with a sentence; the log gets the cause. */
async function orUnavailable<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if (error instanceof FacetError && error.code === "engine_unavailable") throw error;
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new FacetError("engine_unavailable", missing ? "A file of the model is missing." : "The model could not be loaded.", {
      fix: "Export the model again; the server's log names the file.",
      cause: error,
    });
  }
}

async function json(file: string): Promise<object> {
  return JSON.parse(await readFile(file, "utf8")) as object;
}

export function loadSharedModel(folder: string, manifest: EngineManifest, options: NodeRuntimeOptions = {}): Promise<SharedModel> {
  return orUnavailable(async () => {
    await checkHash(path.join(folder, "model.safetensors"), manifest.model.sha256);
    const runtime = await nodeRuntime(folder, options);
    const [tokenizer, config, vision, embed] = await Promise.all([
      json(path.join(folder, "tokenizer.json")),
      json(path.join(folder, "tokenizer_config.json")),
      runtime.open("vision.onnx"),
      runtime.open("embed.onnx"),
    ]);
    return { runtime, codec: new TextCodec(tokenizer, config), vision, embed };
  });
}

/** A dictionary's tensors where the runtime's thread reads them too. */
async function loadWeights(file: string, k: number): Promise<SharedWeights> {
  const shared = async (name: string) => {
    const { data, shape } = await readTensor(file, name);
    const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
    copy.set(data);
    return { data: copy, width: shape.at(-1) as number };
  };
  const [encoder, encoderBias, decoder, decoderBias] = await Promise.all([
    shared("encoder.weight"),
    shared("encoder.bias"),
    shared("W_dec"),
    shared("b_dec"),
  ]);
  const { width } = decoder;
  return { k, width, encoder: encoder.data, encoderBias: encoderBias.data, decoder: decoder.data, decoderBias: decoderBias.data };
}

export function loadEngine(
  folder: string,
  manifest: EngineManifest,
  dictionary: EngineDictionary,
  shared: SharedModel,
): Promise<LoadedEngine> {
  return orUnavailable(async () => {
    const { runtime, codec, vision, embed } = shared;
    const weights = path.join(folder, dictionary.folder, "sae.safetensors");
    await checkHash(weights, dictionary.sha256);
    const [lower, upper, encode, tensors] = await Promise.all([
      runtime.open(dictionary.lower),
      runtime.open(dictionary.upper),
      runtime.open(path.join(dictionary.folder, dictionary.encode)),
      loadWeights(weights, dictionary.k),
    ]);
    const hook = await runtime.hook(tensors, encode);
    const gradient = openedOnce(runtime, dictionary.gradient);
    const model = new CutModel(manifest, dictionary, runtime, hookWeights(tensors), hook, {
      vision,
      embed,
      lower,
      upper,
      encode,
      gradient,
    });
    return { model, codec };
  });
}
