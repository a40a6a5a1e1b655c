/** From the engine's files in memory to a model that runs. */
import type { StoredTensor } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import { toFloat32 } from "@/lib/formats/floats";
import { CutModel } from "../onnx/cut-model";
import type { LoadedEngine } from "../onnx/load";
import type { EngineDictionary, EngineManifest } from "../onnx/manifest";
import { openedOnce } from "../onnx/opened-once";
import type { Runtime } from "../onnx/runtime";
import { TextCodec } from "../onnx/text";
import { hookWeights } from "../onnx/token-hook.mjs";

export interface EngineBytes {
  manifest: EngineManifest;
  dictionary: EngineDictionary;
  /** By path relative to the engine's folder, as engine.json writes them. */
  files: ReadonlyMap<string, Uint8Array>;
  /** Where the dictionary's tensors lie in its file of weights. */
  tensors: Readonly<Record<string, StoredTensor>>;
}

export const weightsPath = (dictionary: EngineDictionary) => `${dictionary.folder}/sae.safetensors`;

/** The files that one dictionary of a model needs, by path relative to the engine's folder. */
export function filesNeeded(dictionary: EngineDictionary): string[] {
  const { lower, upper, folder, encode, gradient } = dictionary;
  const model = ["tokenizer.json", "tokenizer_config.json", "vision.onnx", "embed.onnx", lower, upper, "model.safetensors"];
  return [...model, ...(gradient ? [gradient] : []), `${folder}/${encode}`, weightsPath(dictionary)];
}

/** Throws `engine_unavailable` where a file is missing, `engine_out_of_memory` and `engine_failed` as the runtime does. */
export async function loadFromBytes({ manifest, dictionary, files, tensors }: EngineBytes, runtime: Runtime): Promise<LoadedEngine> {
  const bytesOf = (path: string): Uint8Array => {
    const bytes = files.get(path);
    if (!bytes) throw new FacetError("engine_unavailable", `The model's file ${path} was not loaded.`, { fix: "Reload the page." });
    return bytes;
  };
  const json = (path: string) => JSON.parse(new TextDecoder().decode(bytesOf(path))) as object;
  const floats = (name: string): Float32Array => {
    const tensor = tensors[name];
    if (!tensor) throw new FacetError("engine_unavailable", `The dictionary lacks "${name}".`, { fix: "Export the dictionary again." });
    // A copy, so that the numbers are aligned.
    return toFloat32(tensor.dtype, bytesOf(weightsPath(dictionary)).slice(tensor.start, tensor.end));
  };
  const codec = new TextCodec(json("tokenizer.json"), json("tokenizer_config.json"));
  // One after another: a session is largest in memory while it is made.
  const vision = await runtime.open("vision.onnx");
  const embed = await runtime.open("embed.onnx");
  const lower = await runtime.open(dictionary.lower);
  const upper = await runtime.open(dictionary.upper);
  const encode = await runtime.open(`${dictionary.folder}/${dictionary.encode}`);
  const gradient = openedOnce(runtime, dictionary.gradient);
  const weights = {
    k: dictionary.k,
    width: manifest.decoder.width,
    encoder: floats("encoder.weight"),
    encoderBias: floats("encoder.bias"),
    decoder: floats("W_dec"),
    decoderBias: floats("b_dec"),
  };
  const hook = await runtime.hook(weights, encode);
  return {
    codec,
    model: new CutModel(manifest, dictionary, runtime, hookWeights(weights), hook, { vision, embed, lower, upper, encode, gradient }),
  };
}
