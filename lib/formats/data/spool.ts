/**
 * Rows that were worked out while a file was read, kept on disk until they are written to the catalogue: a cache is read once, checked
 * whole before anything is written, and memory stays flat.
 */
import { deserialize, serialize } from "node:v8";
import type { Columns, Row, Table } from "../parquet";
import { madeTable } from "../source";
import { cutShort, TempFile } from "./temp-file";

export class Spool<T> {
  rows = 0;
  #batch: T[] = [];
  readonly #file = new TempFile();
  readonly #blocks: { start: number; length: number }[] = [];
  #end = 0;

  add(row: T): void {
    this.rows++;
    if (this.#batch.push(row) >= 512) this.#flush();
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const bytes = serialize(this.#batch);
    this.#batch = [];
    this.#file.write(bytes, this.#end);
    this.#blocks.push({ start: this.#end, length: bytes.length });
    this.#end += bytes.length;
  }

  /** The rows in the order in which they came. */
  *read(): Generator<T> {
    this.#flush();
    for (const { start, length } of this.#blocks) {
      const bytes = this.#file.read(start, length);
      if (bytes.length < length) throw cutShort();
      yield* deserialize(bytes) as T[];
    }
  }
}

/** A table over a spool's rows. */
export function spooledTable<C extends Columns, T>(file: string, spool: Spool<T>, toRow: (row: T) => Row<C>): Table<C> {
  return madeTable(file, spool.rows, function* () {
    for (const row of spool.read()) yield toRow(row);
  });
}
