/** What files say of each feature, on disk and by its index: they come in any order and are read back in ascending order. */
import { deserialize, serialize } from "node:v8";
import { NumberMap } from "./number-map";
import { RecordFile } from "./temp-file";

export class FeatureRecords<T> {
  readonly #records = new RecordFile();
  readonly #places = new NumberMap();
  #indices = new Int32Array(1_024);

  get size(): number {
    return this.#places.size;
  }

  /** False where there is another record of that feature already, which stays. */
  add(index: number, value: T): boolean {
    if (this.#places.get([0, index]) !== undefined) return false;
    if (this.size === this.#indices.length) {
      const more = new Int32Array(2 * this.size);
      more.set(this.#indices);
      this.#indices = more;
    }
    this.#indices[this.size] = index;
    this.#places.set([0, index], this.#records.add(serialize(value)));
    return true;
  }

  get(index: number): T | undefined {
    const place = this.#places.get([0, index]);
    return place === undefined ? undefined : (deserialize(this.#records.read(place)) as T);
  }

  /** Ascending. */
  indices(): Int32Array {
    return this.#indices.slice(0, this.size).sort();
  }

  /** In ascending order of index. */
  *values(): Generator<T> {
    for (const index of this.indices()) yield this.get(index) as T;
  }
}
