/** Typed, checked, streaming reads of Parquet tables, one row group in memory at a time. */
import {
  type AsyncBuffer,
  asyncBufferFromFile,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import { invalidBundle } from "./manifest";

interface Kinds {
  int: number;
  float: number;
  bool: boolean;
  string: string;
  binary: Uint8Array;
  strings: string[];
  ints: number[];
}
type Kind = keyof Kinds;

/** Column name → kind; a trailing "?" allows null. */
export type Columns = Record<string, Kind | `${Kind}?`>;

type Value<K> = K extends `${infer Base extends Kind}?` ? Kinds[Base] | null : K extends Kind ? Kinds[K] : never;
export type Row<C extends Columns> = { [Name in keyof C]: Value<C[Name]> };

/** PostgreSQL's text cannot hold NUL; its picture stands for it. */
const text = (value: string) => (value.includes("\0") ? value.replaceAll("\0", "\u2400") : value);

function whole(value: unknown): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

/** Undefined where the value is not of its kind. */
const convert: { [K in Kind]: (value: unknown) => Kinds[K] | undefined } = {
  int: whole,
  float: (value) => {
    const number = typeof value === "bigint" ? Number(value) : value;
    // What was not measured is null. NaN is an arithmetic fault of whoever wrote it, and would pass for "not measured".
    return typeof number === "number" && Number.isFinite(number) ? number : undefined;
  },
  bool: (value) => (typeof value === "boolean" ? value : undefined),
  string: (value) => (typeof value === "string" ? text(value) : undefined),
  binary: (value) => (value instanceof Uint8Array ? value : undefined),
  strings: (value) => (Array.isArray(value) && value.every((one) => typeof one === "string") ? value.map(text) : undefined),
  ints: (value) => {
    const list = Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as ArrayLike<unknown>, whole) : undefined;
    return list?.every((one) => one !== undefined) ? (list as number[]) : undefined;
  },
};

export interface Table<C extends Columns> {
  file: string;
  rows: number;
  /** The rows in file order, in batches of at most `size`. Throws `bundle_invalid`, naming file, column and row. */
  batches(size?: number): AsyncGenerator<Row<C>[]>;
}

/**
 * Opens a table and checks that it has the columns asked for; more are ignored. Throws `bundle_invalid` for a file that is no Parquet or
 * lacks a column.
 */
export async function openTable<C extends Columns>(file: string, columns: C): Promise<Table<C>> {
  let buffer: AsyncBuffer;
  let metadata: FileMetaData;
  try {
    buffer = await asyncBufferFromFile(file);
    metadata = await parquetMetadataAsync(buffer);
  } catch (cause) {
    throw invalidBundle(`${file} is not a complete Parquet file.`, "Copy the file again, or make the bundle again.", cause);
  }
  const present = new Set(parquetSchema(metadata).children.map((child) => child.element.name));
  const missing = Object.keys(columns).filter((name) => !present.has(name));
  if (missing.length) {
    throw invalidBundle(
      `${file} lacks the column${missing.length > 1 ? "s" : ""} ${missing.join(", ")}.`,
      "Make the bundle again with this version's pipeline; docs/formats.md lists every column.",
    );
  }
  return { file, rows: Number(metadata.num_rows), batches: (size = 4_096) => batches(file, buffer, metadata, columns, size) };
}

async function* batches<C extends Columns>(
  file: string,
  buffer: AsyncBuffer,
  metadata: FileMetaData,
  columns: C,
  size: number,
): AsyncGenerator<Row<C>[]> {
  const readers = Object.entries(columns).map(([name, kind]) => {
    const nullable = kind.endsWith("?");
    return { name, nullable, kind, convert: convert[(nullable ? kind.slice(0, -1) : kind) as Kind] };
  });
  let start = 0;
  for (const group of metadata.row_groups) {
    const end = start + Number(group.num_rows);
    let rows: Record<string, unknown>[];
    try {
      rows = await parquetReadObjects({
        file: buffer,
        metadata,
        columns: Object.keys(columns),
        compressors,
        utf8: false,
        rowStart: start,
        rowEnd: end,
      });
    } catch (cause) {
      throw invalidBundle(`${file} cannot be decoded.`, "Write it with Snappy or no compression, or make the bundle again.", cause);
    }
    for (let from = 0; from < rows.length; from += size) {
      yield rows.slice(from, from + size).map((row, i) => {
        const out: Record<string, unknown> = {};
        for (const reader of readers) {
          const value = row[reader.name];
          const converted = value === null || value === undefined ? null : reader.convert(value);
          if (converted === undefined || (converted === null && !reader.nullable)) {
            throw invalidBundle(
              `${file}: column ${reader.name}, row ${start + from + i}, holds ${sample(value)} where ${reader.kind} is needed.`,
              "Make the bundle again; docs/formats.md gives each column's type.",
            );
          }
          out[reader.name] = converted;
        }
        return out as Row<C>;
      });
    }
    start = end;
  }
}

function sample(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return `${typeof value} ${String(value).slice(0, 40)}`;
}
