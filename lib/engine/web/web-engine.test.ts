// @vitest-environment node
/** The browser's engine over the same files, in Node: onnxruntime-web's WebAssembly runs here too, so that one suite holds both. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { InferenceSession, env as ortEnv, Tensor } from "onnxruntime-web/wasm";
import { readSafetensorsHeader } from "@/lib/formats/safetensors";
import { describeEngine } from "../conformance";
import { folder, localSubject, manifestOf } from "../conformance-subject";
import { OnnxEngine } from "../onnx/onnx-engine";
import { webRuntime } from "../onnx/runtime-web";
import { RequestQueue } from "../queue";
import { filesNeeded, loadFromBytes, weightsPath } from "./load-web";

async function create(limits: { concurrency: number; bound: number }) {
  const manifest = await manifestOf();
  const dictionary = manifest.dictionaries[0];
  if (!dictionary) throw new Error("engine.json names no dictionary.");
  const files = new Map<string, Uint8Array>();
  for (const name of filesNeeded(dictionary)) files.set(name, new Uint8Array(await readFile(path.join(folder, name))));
  const { tensors } = await readSafetensorsHeader(path.join(folder, weightsPath(dictionary)));
  ortEnv.wasm.numThreads = 1;
  const load = () =>
    loadFromBytes(
      { manifest, dictionary, files, tensors },
      webRuntime({ ort: { InferenceSession, Tensor, env: ortEnv }, files, provider: "wasm" }),
    );
  const own = new RequestQueue(limits.concurrency, limits.bound);
  return new OnnxEngine(manifest, dictionary, load, own, new RequestQueue(1, limits.bound));
}

describeEngine("web", {
  capabilities: { tapWrites: true, exactBeside: true, exactLogprobs: true, receiptsAfterAbort: true, attributes: true },
  create: async (limits) => ({ ...(await localSubject(limits)), engine: await create(limits) }),
});
