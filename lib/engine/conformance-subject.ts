/** The demo's checkpoint as test subject: what any engine over it is held against is read from its files here, apart from the engine. */
import path from "node:path";
import { pixelValues, type RgbImage } from "@/lib/core/preprocess";
import type { GenerateRequest, ImageRef } from "@/lib/core/protocol";
import { argmax } from "@/lib/core/sampling";
import { env } from "@/lib/env";
import { readTensor } from "@/lib/formats/safetensors";
import { type EngineUnderTest, pictures, type Weights } from "./conformance-checks";
import { parseManifest } from "./onnx/load";
import type { EngineManifest } from "./onnx/manifest";
import type { OnnxEngine } from "./onnx/onnx-engine";
import { assemblePrompt } from "./onnx/prompt";
import { createEngines, readManifest } from "./registry";

export const folder = env.engineDir;

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

export async function manifestOf(): Promise<EngineManifest> {
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
export const resolveImage = async (image: ImageRef) => ({ ...shown(image), sha256: "sha256" in image ? image.sha256 : pictures[0].sha256 });

export interface LocalSubject extends Omit<EngineUnderTest, "engine"> {
  engine: OnnxEngine;
}

/** The first dictionary of engine.json. */
export async function localSubject(limits: { concurrency: number; bound: number }): Promise<LocalSubject> {
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
