/**
 * What fires on a picture, packed: for each feature its cells and activations (IEEE fp16, as stored maps have them), in a few typed arrays; and a
 * session's store of such pictures, which is bounded.
 */
import { floatToHalf, halfToFloat, type SparseMap } from "./sparse-map";

/** What an engine tells of a picture. */
export interface FoundFeatures {
  rows: number;
  cols: number;
  /** Features that fire at all; more than `features` where the engine told the strongest only. */
  total: number;
  features: readonly { index: number; map: SparseMap }[];
}

/** Beside its arrays' content: the objects that hold them. */
const overhead = 600;
/** The largest finite fp16. */
const mostHalf = 65_504;

/** Every fp16 as a number: thousands of pictures are unpacked at once. */
let halves: Float32Array | null = null;

export class PictureCodes {
  private constructor(
    readonly rows: number,
    readonly cols: number,
    /** More features fired than are kept. */
    readonly cut: boolean,
    /** Ascending. */
    private readonly indices: Uint16Array | Uint32Array,
    /** Behind the last entry of each feature. */
    private readonly ends: Uint32Array,
    private readonly positions: Uint8Array | Uint16Array,
    /** fp16 bits. */
    private readonly values: Uint16Array,
  ) {}

  static pack({ rows, cols, total, features }: FoundFeatures): PictureCodes {
    const sorted = features.toSorted((a, b) => a.index - b.index);
    const entries = sorted.reduce((sum, { map }) => sum + map.positions.length, 0);
    const Indices = (sorted.at(-1)?.index ?? 0) > 0xffff ? Uint32Array : Uint16Array;
    const Positions = rows * cols > 0x100 ? Uint16Array : Uint8Array;
    const indices = new Indices(sorted.length);
    const ends = new Uint32Array(sorted.length);
    const positions = new Positions(entries);
    const values = new Uint16Array(entries);
    let at = 0;
    sorted.forEach(({ index, map }, i) => {
      indices[i] = index;
      for (let j = 0; j < map.positions.length; j++, at++) {
        positions[at] = map.positions[j] as number;
        values[at] = floatToHalf(Math.min(mostHalf, map.values[j] as number));
      }
      ends[i] = at;
    });
    return new PictureCodes(rows, cols, total > sorted.length, indices, ends, positions, values);
  }

  /** Of memory. */
  get bytes(): number {
    const { indices, ends, positions, values } = this;
    return overhead + indices.byteLength + ends.byteLength + positions.byteLength + values.byteLength;
  }

  /** Where a feature fires and how strongly, and its largest activation; null where it does not. */
  mapOf(index: number): { map: SparseMap; peak: number } | null {
    let low = 0;
    let high = this.indices.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.indices[middle] as number) < index) low = middle + 1;
      else high = middle;
    }
    if (this.indices[low] !== index) return null;
    const [start, end] = [low === 0 ? 0 : (this.ends[low - 1] as number), this.ends[low] as number];
    halves ??= Float32Array.from({ length: 0x1_0000 }, (_, bits) => halfToFloat(bits));
    const map = { positions: new Uint16Array(this.positions.subarray(start, end)), values: new Float32Array(end - start) };
    let peak = 0;
    for (let i = start; i < end; i++) {
      const value = halves[this.values[i] as number] as number;
      map.values[i - start] = value;
      if (value > peak) peak = value;
    }
    return { map, peak };
  }
}

/** Pictures that one dictionary of one model has looked at, by their SHA-256. */
export class CodeStore {
  private readonly kept = new Map<string, PictureCodes>();
  private sum = 0;

  constructor(private readonly makeRoom: (store: CodeStore, bytes: number) => boolean) {}

  /** False where there is no room left: the picture is not kept. */
  add(sha256: string, codes: PictureCodes): boolean {
    if (this.kept.has(sha256)) return true;
    if (!this.makeRoom(this, codes.bytes)) return false;
    this.kept.set(sha256, codes);
    this.sum += codes.bytes;
    return true;
  }

  get(sha256: string): PictureCodes | undefined {
    return this.kept.get(sha256);
  }

  has(sha256: string): boolean {
    return this.kept.has(sha256);
  }

  get size(): number {
    return this.kept.size;
  }

  /** Of memory. */
  get bytes(): number {
    return this.sum;
  }

  clear(): void {
    this.kept.clear();
    this.sum = 0;
  }
}

/** The stores of a session within one bound: for the store in use the others are given up, the one used longest ago first. */
export class SessionCodes {
  /** The one opened last is the last. */
  private readonly stores = new Map<string, CodeStore>();

  /** `limit`: bytes of all stores together. */
  constructor(readonly limit: number) {}

  /** The store of one model's dictionary; `key` has the hashes of both. */
  open(key: string): CodeStore {
    const store = this.stores.get(key) ?? new CodeStore((asking, bytes) => this.makeRoom(asking, bytes));
    this.stores.delete(key);
    this.stores.set(key, store);
    return store;
  }

  get bytes(): number {
    return [...this.stores.values()].reduce((sum, store) => sum + store.bytes, 0);
  }

  private makeRoom(asking: CodeStore, bytes: number): boolean {
    for (const store of this.stores.values()) {
      if (this.bytes + bytes <= this.limit) return true;
      if (store !== asking) store.clear();
    }
    return this.bytes + bytes <= this.limit;
  }
}
