/**
 * `sample.safetensors` beside the weights: hidden states [N, D] that the dictionary is known to reconstruct, and optionally what it makes of
 * them. Nothing checks weights better, and of square matrices nothing else may tell which axis is which.
 */
import { stat } from "node:fs/promises";
import path from "node:path";
import { readSafetensorsHeader, readTensor } from "../safetensors";
import { invalidFile } from "../source";

export const sampleFile = "sample.safetensors";

export interface Sample {
  file: string;
  /** [N × D], row-major; at most 64 of them. */
  hidden: Float32Array;
  /** What the dictionary's own tool made of them, [N × D_out]; null where the file does not say. */
  reconstruction: Float32Array | null;
}

const most = 64;

/** The sample of a folder whose dictionary has `width` inputs and `outputs`; null where none lies there. */
export async function readSample(folder: string, width: number, outputs: number): Promise<Sample | null> {
  const file = path.join(folder, sampleFile);
  if (!(await stat(file).catch(() => null))) return null;
  const { tensors } = await readSafetensorsHeader(file);
  const rows = tensors.hidden?.shape[0] ?? 0;
  const read = async (name: string, cols: number) => {
    const shape = tensors[name]?.shape;
    if (shape?.length !== 2 || shape[0] !== rows || shape[1] !== cols || rows === 0) {
      throw invalidFile(
        `${file}: "${name}" has the shape [${shape?.join(", ") ?? ""}] and should have [N, ${cols}].`,
        "Save hidden states of this dictionary's own hook, or take the file away.",
      );
    }
    return (await readTensor(file, name)).data.subarray(0, most * cols);
  };
  return {
    file,
    hidden: await read("hidden", width),
    reconstruction: tensors.reconstruction ? await read("reconstruction", outputs) : null,
  };
}
