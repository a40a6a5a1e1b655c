/**
 * Rows that were worked out while a file was read, kept on disk until they are written to the catalogue: a cache is read once, checked
 * whole before anything is written, and memory stays flat. The file has no name, so that nothing is left behind however the process ends.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { deserialize, serialize } from "node:v8";
import type { Columns, Row, Table } from "../parquet";
import { madeTable } from "../source";

/** A table is read whenever the importer comes to it, and nobody says when the last has been: the descriptor goes with the spool. */
const closing = new FinalizationRegistry<number>((descriptor) => closeSync(descriptor));

export class Spool<T> {
  rows = 0;
  #batch: T[] = [];
  readonly #descriptor: number;
  readonly #blocks: { start: number; length: number }[] = [];
  #end = 0;

  constructor() {
    const folder = mkdtempSync(path.join(tmpdir(), "facet-import-"));
    const file = path.join(folder, "rows");
    this.#descriptor = openSync(file, "w+");
    closing.register(this, this.#descriptor);
    try {
      // An open file lives on without its name.
      rmSync(file);
      rmdirSync(folder);
    } catch {
      process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
    }
  }

  add(row: T): void {
    this.rows++;
    if (this.#batch.push(row) >= 512) this.#flush();
  }

  #flush(): void {
    if (this.#batch.length === 0) return;
    const bytes = serialize(this.#batch);
    this.#batch = [];
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#descriptor, bytes, done, bytes.length - done, this.#end + done);
    this.#blocks.push({ start: this.#end, length: bytes.length });
    this.#end += bytes.length;
  }

  /** The rows in the order in which they came. */
  *read(): Generator<T> {
    this.#flush();
    for (const { start, length } of this.#blocks) {
      const bytes = Buffer.alloc(length);
      for (let done = 0; done < length; ) {
        const read = readSync(this.#descriptor, bytes, done, length - done, start + done);
        if (read === 0) throw new Error("A temporary file of the import was cut short.");
        done += read;
      }
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
