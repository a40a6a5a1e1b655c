/**
 * A sparse activation map: `positions` into a row-major grid (or a token string) and the activation at each, in step.
 * On the wire and in the database both are little-endian bytes (uint16, IEEE fp16); on the wire those bytes are base64.
 */
export interface SparseMap {
  positions: Uint16Array;
  /** Raw activations, same length as `positions`. */
  values: Float32Array;
}

export interface EncodedSparseMap {
  /** base64 of little-endian uint16. */
  p: string;
  /** base64 of little-endian fp16. */
  v: string;
}

/** IEEE 754 half → number. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const floatView = new Float32Array(1);
const bitsView = new Uint32Array(floatView.buffer);

/** Number → IEEE 754 half, rounding to nearest even; beyond the range becomes ±Infinity. */
export function floatToHalf(value: number): number {
  floatView[0] = value;
  const bits = bitsView[0] as number;
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal half: the value in units of 2^-24, rounded to even.
    const scaled = Math.abs(value) * 2 ** 24;
    const floor = Math.floor(scaled);
    const rest = scaled - floor;
    return sign | (rest > 0.5 || (rest === 0.5 && floor & 1) ? floor + 1 : floor);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded - 0x38000000) >>> 13);
}

export function decodeBytes(positions: Uint8Array, values: Uint8Array): SparseMap {
  if (positions.byteLength !== values.byteLength || positions.byteLength % 2) {
    throw new RangeError(`A sparse map needs as many positions as values, got ${positions.byteLength} and ${values.byteLength} bytes.`);
  }
  const n = positions.byteLength / 2;
  const p = new DataView(positions.buffer, positions.byteOffset, positions.byteLength);
  const v = new DataView(values.buffer, values.byteOffset, values.byteLength);
  const map: SparseMap = { positions: new Uint16Array(n), values: new Float32Array(n) };
  for (let i = 0; i < n; i++) {
    map.positions[i] = p.getUint16(2 * i, true);
    map.values[i] = halfToFloat(v.getUint16(2 * i, true));
  }
  return map;
}

export function encodeBytes(map: SparseMap): { positions: Uint8Array; values: Uint8Array } {
  const n = map.positions.length;
  const positions = new Uint8Array(2 * n);
  const values = new Uint8Array(2 * n);
  const p = new DataView(positions.buffer);
  const v = new DataView(values.buffer);
  for (let i = 0; i < n; i++) {
    p.setUint16(2 * i, map.positions[i] as number, true);
    v.setUint16(2 * i, floatToHalf(map.values[i] as number), true);
  }
  return { positions, values };
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

export function decodeMap(encoded: EncodedSparseMap): SparseMap {
  return decodeBytes(fromBase64(encoded.p), fromBase64(encoded.v));
}

export function encodeMap(map: SparseMap): EncodedSparseMap {
  const { positions, values } = encodeBytes(map);
  return { p: toBase64(positions), v: toBase64(values) };
}

/** The map as `rows × cols` activations, zero where inactive. Positions outside the grid are ignored. */
export function toDense(map: SparseMap, rows: number, cols: number): Float32Array {
  const dense = new Float32Array(rows * cols);
  for (let i = 0; i < map.positions.length; i++) {
    const position = map.positions[i] as number;
    if (position < dense.length) dense[position] = map.values[i] as number;
  }
  return dense;
}
