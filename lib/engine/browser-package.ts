/** The files that a tab is given to run a model of this server's engine folder by itself: what they are, and where each lies, by its hash. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import type { EnginePackage, PackageFile } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import { env } from "@/lib/env";
import { readSafetensorsHeader } from "@/lib/formats/safetensors";
import { parseManifest } from "./onnx/load";
import type { EngineManifest } from "./onnx/manifest";
import { readManifest } from "./registry";
import { filesNeeded, weightsPath } from "./web/load-web";

/** Builds of the runtime, by what they compute with. Nothing else of the package is served. */
const runtimeFiles = {
  wasm: ["ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
} as const;

export interface ServedFile {
  file: string;
  bytes: number;
}

/** By hash. A file that changes gets another; the old one is then served no more. */
const served = new Map<string, ServedFile>();
/** By file. Requests at the same time wait for one reading of it. */
const hashes = new Map<string, { stamp: string; sha256: Promise<string> }>();

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function fileAt(file: string, name: string): Promise<PackageFile> {
  const { size, mtimeMs } = await stat(file);
  const stamp = `${size} ${mtimeMs}`;
  let known = hashes.get(file);
  if (known?.stamp !== stamp) {
    known = { stamp, sha256: hashOf(file) };
    hashes.set(file, known);
  }
  try {
    const sha256 = await known.sha256;
    served.set(sha256, { file, bytes: size });
    return { path: name, bytes: size, sha256 };
  } catch (error) {
    // Read again next time.
    if (hashes.get(file) === known) hashes.delete(file);
    throw error;
  }
}

async function runtimeOf(kind: keyof typeof runtimeFiles): Promise<EnginePackage["runtime"]["wasm"]> {
  const folder = path.join(/* turbopackIgnore: true */ env.root, "node_modules", "onnxruntime-web", "dist");
  const [module, wasm] = await Promise.all(
    runtimeFiles[kind].map((name) => fileAt(path.join(/* turbopackIgnore: true */ folder, name), name)),
  );
  return { module: module as PackageFile, wasm: wasm as PackageFile };
}

async function readPackage(folder: string, text: string, manifest: EngineManifest, id: string): Promise<EnginePackage | null> {
  const dictionary = manifest.dictionaries.find((one) => one.id === id);
  if (!dictionary) return null;
  const at = (name: string) => path.join(/* turbopackIgnore: true */ folder, name);
  const [files, { tensors }, wasm, webgpu] = await Promise.all([
    Promise.all(filesNeeded(dictionary).map((name) => fileAt(at(name), name))),
    readSafetensorsHeader(at(weightsPath(dictionary))),
    runtimeOf("wasm"),
    runtimeOf("webgpu"),
  ]);
  const found = files.find((file) => file.path === weightsPath(dictionary))?.sha256;
  if (found !== dictionary.sha256 || files.find((file) => file.path === "model.safetensors")?.sha256 !== manifest.model.sha256) {
    throw new FacetError("engine_unavailable", "The model's files are not those that its engine.json was made with.", {
      fix: "Export the model again, so that engine.json and the weights agree.",
    });
  }
  return {
    dictionary: `${manifest.model.id}/${dictionary.id}`,
    sha256: dictionary.sha256,
    manifest: text,
    files,
    tensors: Object.fromEntries(Object.entries(tensors)),
    runtime: { wasm, webgpu },
  };
}

/** Throws `engine_unavailable` where a file is missing or is not what engine.json was made with. */
async function packageFrom(folder: string, text: string, manifest: EngineManifest, id: string): Promise<EnginePackage | null> {
  try {
    return await readPackage(folder, text, manifest, id);
  } catch (error) {
    if (error instanceof FacetError && error.code === "engine_unavailable") throw error;
    throw new FacetError("engine_unavailable", "A file of the model is missing or damaged.", {
      fix: "Export the model again.",
      cause: error,
    });
  }
}

/** What a tab needs for `ref`; null where this server has not the model's files. Throws `engine_unavailable` where they do not fit together. */
export async function enginePackage(ref: string): Promise<EnginePackage | null> {
  const folder = env.engineDir;
  const text = await readManifest(folder);
  if (text === null) return null;
  const manifest = parseManifest(text);
  if (!ref.startsWith(`${manifest.model.id}/`)) return null;
  return await packageFrom(folder, text, manifest, ref.slice(manifest.model.id.length + 1));
}

/** Where the file of a hash lies; null for one that no package of this server names. Throws as `enginePackage` does. */
export async function servedFile(sha256: string): Promise<ServedFile | null> {
  const known = served.get(sha256);
  if (known) {
    // Written anew since, it has another hash: its bytes must not go out, and be cached for good, under this one.
    const now = await fileAt(known.file, known.file).catch(() => null);
    if (now?.sha256 === sha256) return known;
    served.delete(sha256);
  }
  // After a restart a tab may go on with a download that it began before.
  const text = await readManifest(env.engineDir);
  if (text === null) return null;
  const manifest = parseManifest(text);
  for (const { id } of manifest.dictionaries) await packageFrom(env.engineDir, text, manifest, id);
  return served.get(sha256) ?? null;
}
