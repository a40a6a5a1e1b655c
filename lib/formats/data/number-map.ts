/** Numbers by keys of 64 bits, some 30 bytes an entry: millions of keys fit where a Map of strings would take a gigabyte. */
import { createHash } from "node:crypto";

/** Two halves, each a uint32. */
export type Key = readonly [high: number, low: number];

/** 64 bits of a text's SHA-256: of ten million texts two are alike once in 300,000 times. */
export function keyOf(text: string): Key {
  const hash = createHash("sha256").update(text).digest();
  return [hash.readUInt32LE(0), hash.readUInt32LE(4)];
}

export class NumberMap {
  size = 0;
  #capacity = 1_024;
  #high = new Uint32Array(this.#capacity);
  #low = new Uint32Array(this.#capacity);
  /** NaN where there is no entry. */
  #value = new Float64Array(this.#capacity).fill(Number.NaN);

  #slot(high: number, low: number): number {
    let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let slot = hash & (this.#capacity - 1); ; slot = (slot + 1) & (this.#capacity - 1)) {
      if (Number.isNaN(this.#value[slot] as number) || (this.#high[slot] === high && this.#low[slot] === low)) return slot;
    }
  }

  get([high, low]: Key): number | undefined {
    const value = this.#value[this.#slot(high, low)] as number;
    return Number.isNaN(value) ? undefined : value;
  }

  set([high, low]: Key, value: number): void {
    const slot = this.#slot(high, low);
    if (Number.isNaN(this.#value[slot] as number)) this.size++;
    this.#high[slot] = high;
    this.#low[slot] = low;
    this.#value[slot] = value;
    if (this.size * 3 > this.#capacity * 2) this.#grow();
  }

  #grow(): void {
    const [high, low, value] = [this.#high, this.#low, this.#value];
    this.#capacity *= 2;
    this.#high = new Uint32Array(this.#capacity);
    this.#low = new Uint32Array(this.#capacity);
    this.#value = new Float64Array(this.#capacity).fill(Number.NaN);
    for (let i = 0; i < value.length; i++) {
      if (Number.isNaN(value[i] as number)) continue;
      const slot = this.#slot(high[i] as number, low[i] as number);
      this.#high[slot] = high[i] as number;
      this.#low[slot] = low[i] as number;
      this.#value[slot] = value[i] as number;
    }
  }
}
