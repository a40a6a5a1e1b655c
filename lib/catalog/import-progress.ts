/** Reading an import's tables, with progress, until somebody says stop. */
import type { Columns, Row, Table } from "@/lib/formats/parquet";
import type { Source } from "@/lib/formats/source";
import type { Database } from "./db";

export interface ImportProgress {
  /** What is being done: a table's name or a sentence's worth. */
  stage: string;
  /** How far the stage itself is, where the database tells: "scanning table, 40 %". */
  detail?: string;
  /** Rows of the import that were read, of how many; 0 of 0 where a stage reads none. */
  done: number;
  total: number;
  rowsPerSecond: number;
}

export interface ImportOptions {
  onProgress?: (progress: ImportProgress) => void;
  signal?: AbortSignal;
}

export class ImportReader {
  /** Rows read so far. */
  rows = 0;
  readonly #total: number;
  readonly #started = performance.now();

  constructor(
    source: Source,
    protected readonly db: Database,
    protected readonly options: ImportOptions,
  ) {
    const all = [source.images, source.texts, ...source.dictionaries.flatMap((dictionary) => Object.values(dictionary.tables))];
    this.#total = all.reduce((sum, table) => sum + table.rows, 0);
  }

  #report(stage: string): void {
    const seconds = (performance.now() - this.#started) / 1_000;
    this.options.onProgress?.({
      stage,
      done: this.rows,
      total: this.#total,
      rowsPerSecond: Math.round(this.rows / Math.max(seconds, 0.001)),
    });
  }

  /** A table's batches, with progress, stopping where the signal says so. */
  async *read<C extends Columns>(stage: string, table: Table<C>, size?: number): AsyncGenerator<Row<C>[]> {
    this.#report(stage);
    for await (const batch of table.batches(size)) {
      this.options.signal?.throwIfAborted();
      yield batch;
      this.rows += batch.length;
      this.#report(stage);
    }
  }

  /** A stage that reads nothing: no number of rows says how far it is. */
  protected tell(stage: string, detail?: string): void {
    this.options.onProgress?.({ stage, detail, done: 0, total: 0, rowsPerSecond: 0 });
  }

  /** Tells a stage that one statement is all of, unless somebody said stop. */
  protected begin(stage: string): void {
    this.options.signal?.throwIfAborted();
    this.tell(stage);
  }
}
