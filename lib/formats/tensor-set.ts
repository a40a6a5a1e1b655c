/** The tensors of a safetensors file, of safetensors shards with their index, or of an npz archive, as one set of named tensors. */
import { createHash } from "node:crypto";
import { type FileHandle, stat } from "node:fs/promises";
import path from "node:path";
import { toFloat32 } from "./floats";
import { readJsonObject } from "./json-text";
import { sha256OfFile } from "./manifest";
import { readNpz } from "./npz";
import { elementBytes, readBytes, readSafetensorsHeader, withFile } from "./safetensors";
import { invalidFile } from "./source";

export interface StoredTensor {
  name: string;
  file: string;
  /** As safetensors spells it: F32, F16, BF16, I64, … */
  dtype: string;
  shape: number[];
  /** First byte and one past the last, counted from the start of the file. */
  start: number;
  end: number;
  /** Where the file holds the tensor packed: its bytes. */
  bytes?: Uint8Array<ArrayBuffer>;
  /** Whether the first axis runs fastest (Fortran's order), as npz may store it. */
  columnMajor?: boolean;
}

export interface TensorSet {
  /** What was given: the file, or the shards' index. */
  file: string;
  /** Every file that holds tensors. */
  files: string[];
  tensors: Map<string, StoredTensor>;
}

const isIndex = (file: string) => file.endsWith(".safetensors.index.json");
/** Whether the file's name is one under which tensors are kept. */
export const mayHoldTensors = (file: string) => file.endsWith(".safetensors") || file.endsWith(".npz") || isIndex(file);

async function safetensors(file: string): Promise<StoredTensor[]> {
  const { tensors } = await readSafetensorsHeader(file);
  return Object.entries(tensors).map(([name, tensor]) => ({ name, file, ...tensor }));
}

async function shards(index: string): Promise<TensorSet> {
  const { weight_map: map } = await readJsonObject(index);
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw invalidFile(`${index} lacks "weight_map".`, "Copy or download the index again.");
  }
  const folder = path.dirname(index);
  const set: TensorSet = { file: index, files: [], tensors: new Map() };
  const headers = new Map<string, StoredTensor[]>();
  for (const [name, shard] of Object.entries(map as Record<string, unknown>)) {
    if (typeof shard !== "string" || shard !== path.basename(shard) || !shard.endsWith(".safetensors")) {
      throw invalidFile(
        `${index}: "weight_map" says that ${name} lies in ${JSON.stringify(shard)}, which is no safetensors file beside the index.`,
        "Put the shards and their index in one folder.",
      );
    }
    const file = path.join(folder, shard);
    if (!headers.has(file)) {
      if (!(await stat(file).catch(() => null))) {
        throw invalidFile(`${file} is missing; ${index} names it.`, "Download the missing shard into the same folder.");
      }
      headers.set(file, await safetensors(file));
      set.files.push(file);
    }
    const tensor = headers.get(file)?.find((one) => one.name === name);
    if (!tensor) throw invalidFile(`${file} lacks "${name}", which ${index} says it holds.`, "Download shards and index again.");
    set.tensors.set(name, tensor);
  }
  return set;
}

/**
 * Opens the tensors of `file`, reading no more than headers. Throws `bundle_invalid` or `file_invalid` for a damaged file and
 * `unsafe_format` for arrays of Python objects.
 */
export async function openTensors(file: string): Promise<TensorSet> {
  if (isIndex(file)) return shards(file);
  const list = file.endsWith(".npz") ? await readNpz(file) : await safetensors(file);
  return { file, files: [file], tensors: new Map(list.map((tensor) => [tensor.name, tensor])) };
}

/** Identity of weights: SHA-256 of the file; of shards, of their hashes in the index's order. */
export async function sha256OfTensors(set: TensorSet): Promise<string> {
  const [only, ...others] = set.files;
  if (only !== undefined && others.length === 0) return sha256OfFile(only);
  const hash = createHash("sha256");
  for (const file of set.files) hash.update(await sha256OfFile(file));
  return hash.digest("hex");
}

export const elements = (tensor: StoredTensor) => tensor.shape.reduce((product, n) => product * n, 1);

/** "W_dec [40, 16] of sae.safetensors" */
export const describeTensor = (tensor: StoredTensor) => `${tensor.name} [${tensor.shape.join(", ")}] of ${tensor.file}`;

/** `length` bytes of a tensor from its byte `from` on. */
export function tensorBytes(handle: FileHandle, tensor: StoredTensor, from: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  // A copy, so that typed arrays over it are aligned.
  if (tensor.bytes) return Promise.resolve(tensor.bytes.slice(from, from + length));
  return readBytes(handle, tensor.file, tensor.start + from, length);
}

const floats = ["F32", "F16", "BF16", "F64"];

/** Refuses a tensor whose elements cannot be read as float32. */
export function assertFloats(tensor: StoredTensor): void {
  if (floats.includes(tensor.dtype)) return;
  throw invalidFile(
    `${tensor.name} of ${tensor.file} is stored as ${tensor.dtype}, which Facet does not read as weights.`,
    "Save it as float32, float16 or bfloat16.",
  );
}

/** A vector of `length` elements, float32, whatever axes of length 1 it has; a single number is taken for each element. */
export async function readVector(tensor: StoredTensor, length: number): Promise<Float32Array> {
  assertFloats(tensor);
  const count = elements(tensor);
  if (count !== length && count !== 1) {
    throw invalidFile(`${describeTensor(tensor)} should have ${length} elements.`, "Give weights and settings of the same dictionary.");
  }
  const bytes = await withFile(tensor.file, (handle) => tensorBytes(handle, tensor, 0, count * (elementBytes[tensor.dtype] as number)));
  const data = toFloat32(tensor.dtype, bytes);
  return count === length ? data : new Float32Array(length).fill(data[0] as number);
}

const integers = new Map<string, (view: DataView) => number>([
  ["I64", (view) => Number(view.getBigInt64(0, true))],
  ["I32", (view) => view.getInt32(0, true)],
  ["I16", (view) => view.getInt16(0, true)],
  ["F32", (view) => view.getFloat32(0, true)],
]);

/** A whole number stored as a tensor of one element. */
export async function readInteger(tensor: StoredTensor): Promise<number> {
  const bytes = await withFile(tensor.file, (handle) => tensorBytes(handle, tensor, 0, tensor.end - tensor.start));
  const view = new DataView(bytes.buffer);
  const read = integers.get(tensor.dtype);
  const value = read && elements(tensor) === 1 ? read(view) : undefined;
  if (value === undefined || !Number.isSafeInteger(value)) {
    throw invalidFile(`${describeTensor(tensor)} (${tensor.dtype}) should be one whole number.`, "Save it as an int32 or int64.");
  }
  return value;
}

const blockBytes = 4 * 1024 * 1024;
/** Every bit of the exponent: infinities and NaN. */
const exponents: Record<string, number> = { F16: 0x7c00, BF16: 0x7f80, F32: 0x7f800000, F64: 0x7ff00000 };

/** Refuses a tensor that holds NaN or an infinity, naming the first. Reads it in blocks of 4 MB. */
export async function assertFinite(tensor: StoredTensor): Promise<void> {
  assertFloats(tensor);
  const width = elementBytes[tensor.dtype] as number;
  const bits = exponents[tensor.dtype] as number;
  const total = elements(tensor) * width;
  await withFile(tensor.file, async (handle) => {
    for (let from = 0; from < total; from += blockBytes) {
      const { buffer } = await tensorBytes(handle, tensor, from, Math.min(blockBytes, total - from));
      const words = width === 2 ? new Uint16Array(buffer) : new Uint32Array(buffer);
      // Of a float64's two words the second holds the exponent.
      const step = width === 8 ? 2 : 1;
      for (let i = step - 1; i < words.length; i += step) {
        if (((words[i] as number) & bits) !== bits) continue;
        const element = from / width + (i - (step - 1)) / step;
        const place: number[] = [];
        let rest = element;
        for (const size of tensor.columnMajor ? tensor.shape : [...tensor.shape].reverse()) {
          place.push(rest % size);
          rest = Math.floor(rest / size);
        }
        if (!tensor.columnMajor) place.reverse();
        throw invalidFile(
          `${describeTensor(tensor)} holds NaN or an infinity at [${place.join(", ")}].`,
          "Save the dictionary from a checkpoint whose weights are finite; float16 overflows above 65,504 where bfloat16 or float32 does not.",
        );
      }
    }
  });
}
