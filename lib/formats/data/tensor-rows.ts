/** Rows of tensors in a safetensors file, a block at a time. */
import { open } from "node:fs/promises";
import type { TensorEntry } from "../safetensors";
import { invalidFile } from "../source";

/** Integer types and the bytes of one element. */
export const integers: Record<string, 2 | 4 | 8> = { U16: 2, I16: 2, U32: 4, I32: 4, U64: 8, I64: 8 };

/** Elements of an integer tensor as numbers. */
export function toIntegers(dtype: string, bytes: Uint8Array): ArrayLike<number> {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (dtype) {
    case "U16":
      return new Uint16Array(buffer, byteOffset, byteLength / 2);
    case "I16":
      return new Int16Array(buffer, byteOffset, byteLength / 2);
    case "U32":
      return new Uint32Array(buffer, byteOffset, byteLength / 4);
    case "I32":
      return new Int32Array(buffer, byteOffset, byteLength / 4);
    default: {
      // 64 bits: the low half, and the high half where a number goes beyond it.
      const words = new Uint32Array(buffer, byteOffset, byteLength / 4);
      const out = new Float64Array(words.length / 2);
      for (let i = 0; i < out.length; i++) out[i] = (words[2 * i] as number) + (words[2 * i + 1] as number) * 4_294_967_296;
      return out;
    }
  }
}

export async function bytesAt(file: string, start: number, length: number): Promise<Uint8Array> {
  const handle = await open(file, "r");
  try {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const { bytesRead } = await handle.read(bytes, done, length - done, start + done);
      if (bytesRead === 0) throw invalidFile(`${file} ends ${length - done} bytes early.`, "Copy the file again.");
      done += bytesRead;
    }
    return bytes;
  } finally {
    await handle.close();
  }
}

/** Rows `from` to `to` of an integer tensor whose rows have `width` elements. */
export async function integerRows(file: string, entry: TensorEntry, width: number, from: number, to: number): Promise<ArrayLike<number>> {
  const size = (integers[entry.dtype] ?? 8) * width;
  return toIntegers(entry.dtype, await bytesAt(file, entry.start + from * size, (to - from) * size));
}
