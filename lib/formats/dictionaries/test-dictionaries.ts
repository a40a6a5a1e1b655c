/** For tests: the fixtures, and small changes to files of tensors. */
import { readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { readSafetensorsHeader, type TensorEntry } from "../safetensors";
import type { Part, ReadOptions } from "../source";
import { dictionaryReader } from "./reader";
import type { LoadedWeights } from "./weights";

export const fixtures = fileURLToPath(new URL("fixtures", import.meta.url));

/** The one dictionary at `given`. */
export async function readOne(given: string, options: ReadOptions = {}): Promise<Part & { kind: "weights"; weights: LoadedWeights }> {
  const parts = await dictionaryReader.read(given, options);
  const [part] = parts;
  if (parts.length !== 1 || part?.kind !== "weights") throw new Error(`${parts.length} parts at ${given}.`);
  return part as Part & { kind: "weights"; weights: LoadedWeights };
}

export interface RawTensor {
  dtype: string;
  shape: number[];
  bytes: Uint8Array;
}

export async function rawTensors(file: string): Promise<Record<string, RawTensor>> {
  const { tensors } = await readSafetensorsHeader(file);
  const bytes = await readFile(file);
  const raw = ([name, { dtype, shape, start, end }]: [string, TensorEntry]) =>
    [name, { dtype, shape, bytes: Uint8Array.from(bytes.subarray(start, end)) }] as const;
  return Object.fromEntries(Object.entries(tensors).map(raw));
}

export async function writeTensors(file: string, tensors: Record<string, RawTensor>): Promise<void> {
  const header: Record<string, unknown> = {};
  let at = 0;
  for (const [name, { dtype, shape, bytes }] of Object.entries(tensors)) {
    header[name] = { dtype, shape, data_offsets: [at, at + bytes.length] };
    at += bytes.length;
  }
  let json = JSON.stringify(header);
  json += " ".repeat((8 - (json.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(json)));
  await writeFile(file, Buffer.concat([length, Buffer.from(json), ...Object.values(tensors).map(({ bytes }) => bytes)]));
}

/** Changes a file of tensors in place. */
export async function editTensors(file: string, change: (tensors: Record<string, RawTensor>) => void): Promise<void> {
  const tensors = await rawTensors(file);
  change(tensors);
  await writeTensors(file, tensors);
}

/** A matrix with rows and columns exchanged. */
export function transposed({ dtype, shape, bytes }: RawTensor): RawTensor {
  const [rows, cols] = shape as [number, number];
  const width = bytes.length / (rows * cols);
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      out.set(bytes.subarray((row * cols + col) * width, (row * cols + col + 1) * width), (col * rows + row) * width);
    }
  }
  return { dtype, shape: [cols, rows], bytes: out };
}
