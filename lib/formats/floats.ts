/** Raw elements of stored tensors as float32, on any machine. */
import { FacetError } from "@/lib/core/errors";
import { halfToFloat } from "@/lib/core/sparse-map";

let halves: Float32Array | undefined;
function halfTable(): Float32Array {
  if (!halves) {
    halves = new Float32Array(65_536);
    for (let i = 0; i < 65_536; i++) halves[i] = halfToFloat(i);
  }
  return halves;
}

/** Raw little-endian elements of type F32, F16, BF16 or F64 → float32. `bytes` must start at an offset that is a multiple of 8 in its buffer. */
export function toFloat32(dtype: string, bytes: Uint8Array): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer as ArrayBuffer, byteOffset, byteLength / 4);
    case "F64":
      return Float32Array.from(new Float64Array(buffer as ArrayBuffer, byteOffset, byteLength / 8));
    case "F16": {
      const table = halfTable();
      const bits = new Uint16Array(buffer as ArrayBuffer, byteOffset, byteLength / 2);
      const data = new Float32Array(bits.length);
      for (let i = 0; i < bits.length; i++) data[i] = table[bits[i] as number] as number;
      return data;
    }
    case "BF16": {
      const bits = new Uint16Array(buffer as ArrayBuffer, byteOffset, byteLength / 2);
      const data = new Float32Array(bits.length);
      const words = new Uint32Array(data.buffer);
      for (let i = 0; i < bits.length; i++) words[i] = (bits[i] as number) << 16;
      return data;
    }
    default:
      throw new FacetError("bundle_invalid", `A tensor of type ${dtype} cannot be read as numbers with a fraction.`, {
        fix: "Save the tensor as float32, float16 or bfloat16.",
      });
  }
}
