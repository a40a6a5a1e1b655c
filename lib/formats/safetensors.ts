/**
 * Reading safetensors: 8 bytes little-endian header length, a JSON header, then raw tensors. Only the bytes asked for are read, so that one
 * tensor of a large checkpoint costs its own size, and a block of its rows (tensor-rows.ts) that of the block.
 */
import { type FileHandle, open } from "node:fs/promises";
import { FacetError } from "@/lib/core/errors";
import { toFloat32 } from "./floats";
import { repeatedKey } from "./json-text";

export interface TensorEntry {
  /** As the file spells it: F32, F16, BF16, I64, … */
  dtype: string;
  shape: number[];
  /** First byte and one past the last, counted from the start of the file. */
  start: number;
  end: number;
}

export interface SafetensorsHeader {
  tensors: Record<string, TensorEntry>;
  metadata: Record<string, string>;
  /** Where the tensors' bytes begin. */
  dataStart: number;
}

export interface Tensor {
  shape: number[];
  /** Row-major. */
  data: Float32Array;
}

/** Bytes of one element, for every type that the format defines and a header may name. */
export const elementBytes: Readonly<Record<string, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  U64: 8,
  I32: 4,
  U32: 4,
  I16: 2,
  U16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
  F8_E4M3: 1,
  F8_E5M2: 1,
};

/** The format's own limit on the header. */
const maxHeaderBytes = 100_000_000;

function invalid(file: string, what: string, cause?: unknown): FacetError {
  return new FacetError("bundle_invalid", `${file} is not a complete safetensors file: ${what}`, {
    fix: "Copy or download the file again.",
    cause,
  });
}

export async function withFile<T>(file: string, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await open(file, "r");
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

/** Bytes of an open file, in a buffer of their own (not from Node's pool), so that typed arrays over it are aligned. */
export async function readBytes(handle: FileHandle, file: string, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(length - done, 1 << 30), start + done);
    if (bytesRead === 0) throw invalid(file, `it ends ${length - done} bytes early.`);
    done += bytesRead;
  }
  return bytes;
}

function parseEntry(file: string, name: string, value: unknown, dataStart: number, size: number): TensorEntry {
  const { dtype, shape, data_offsets } = (value ?? {}) as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  const sizes = (list: unknown): list is number[] => Array.isArray(list) && list.every((n) => Number.isSafeInteger(n) && n >= 0);
  if (typeof dtype !== "string" || !sizes(shape) || !sizes(data_offsets) || data_offsets.length !== 2) {
    throw invalid(file, `the header's entry for "${name}" lacks dtype, shape or data_offsets.`);
  }
  const [from, to] = data_offsets as [number, number];
  const width = Object.hasOwn(elementBytes, dtype) ? elementBytes[dtype] : undefined;
  if (width === undefined) throw invalid(file, `"${name}" has the unknown type ${dtype}.`);
  const bytes = shape.reduce((product, n) => product * n, 1) * width;
  if (to - from !== bytes) throw invalid(file, `"${name}" should take ${bytes} bytes and takes ${to - from}.`);
  if (dataStart + to > size) throw invalid(file, `"${name}" ends at byte ${dataStart + to} of a file of ${size}.`);
  return { dtype, shape, start: dataStart + from, end: dataStart + to };
}

async function headerOf(handle: FileHandle, file: string): Promise<SafetensorsHeader> {
  const { size } = await handle.stat();
  if (size < 8) throw invalid(file, `it has ${size} bytes.`);
  const length = Number(Buffer.from((await readBytes(handle, file, 0, 8)).buffer).readBigUInt64LE());
  if (length > maxHeaderBytes || 8 + length > size) throw invalid(file, `its header claims ${length} bytes of a file of ${size}.`);
  const text = Buffer.from(await readBytes(handle, file, 8, length)).toString("utf8");
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    throw invalid(file, "its header is not JSON.", error);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw invalid(file, "its header is not an object.");
  const twice = repeatedKey(text);
  if (twice !== null) throw invalid(file, `its header names "${twice}" twice.`);
  const dataStart = 8 + length;
  // A tensor may be called "__proto__".
  const header: SafetensorsHeader = { tensors: Object.create(null) as Record<string, TensorEntry>, metadata: {}, dataStart };
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") header.metadata = (value ?? {}) as Record<string, string>;
    else header.tensors[name] = parseEntry(file, name, value, dataStart, size);
  }
  return header;
}

/** The header alone. Throws `bundle_invalid` for a truncated or inconsistent file. */
export function readSafetensorsHeader(file: string): Promise<SafetensorsHeader> {
  return withFile(file, (handle) => headerOf(handle, file));
}

/** One tensor as float32 (F32, F16, BF16, F64). Throws `bundle_invalid` when the file lacks it or is truncated. */
export function readTensor(file: string, name: string): Promise<Tensor> {
  return withFile(file, async (handle) => {
    const header = await headerOf(handle, file);
    const entry = header.tensors[name];
    if (!entry) {
      const has = Object.keys(header.tensors).slice(0, 12).join(", ");
      throw new FacetError("bundle_invalid", `${file} has no tensor "${name}"; it has ${has}.`, {
        fix: "Check that this is the right file.",
      });
    }
    return { shape: entry.shape, data: toFloat32(entry.dtype, await readBytes(handle, file, entry.start, entry.end - entry.start)) };
  });
}
