/** What a tab needs to run a dictionary's model by itself: the files, each by its hash, and the numbers of the catalogue that clamps are given in. */
import { z } from "zod";
import { dictionaryRefSchema, sha256Schema } from "./protocol";

export const packageFileSchema = z.strictObject({
  /** Relative to the engine's folder, as engine.json writes it; of the runtime's files, the name alone. */
  path: z.string(),
  bytes: z.number().int().min(0),
  sha256: sha256Schema,
});

export const storedTensorSchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.number().int().min(0)),
  /** First byte and one past the last, counted from the start of the file. */
  start: z.number().int().min(0),
  end: z.number().int().min(0),
});

/** One build of the runtime: the module that starts it, and its WebAssembly. */
export const runtimeFilesSchema = z.strictObject({ module: packageFileSchema, wasm: packageFileSchema });

export const providers = ["wasm", "webgpu"] as const;
export type Provider = (typeof providers)[number];

export const enginePackageSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** Of the dictionary's weights. */
  sha256: sha256Schema,
  /** The text of engine.json. */
  manifest: z.string(),
  files: z.array(packageFileSchema),
  /** Tensors of the dictionary's file of weights by name. */
  tensors: z.record(z.string(), storedTensorSchema),
  runtime: z.strictObject({ wasm: runtimeFilesSchema, webgpu: runtimeFilesSchema }),
});

export type PackageFile = z.infer<typeof packageFileSchema>;
export type StoredTensor = z.infer<typeof storedTensorSchema>;
export type EnginePackage = z.infer<typeof enginePackageSchema>;

/** All that is fetched before the model runs with `provider`; the runtime's module comes by itself. */
export function filesToFetch({ files, runtime }: EnginePackage, provider: Provider): PackageFile[] {
  return [runtime[provider].wasm, ...files];
}

export const bytesOf = (files: readonly PackageFile[]): number => files.reduce((sum, { bytes }) => sum + bytes, 0);
