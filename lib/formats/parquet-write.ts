/** Writing Parquet tables a row group at a time, in the types that a bundle's columns have (docs/formats.md). */
import type { SchemaElement } from "hyparquet";
import { fileWriter, ParquetWriter, type Writer } from "hyparquet-writer";
import type { Columns, Row } from "./parquet";

const types = {
  int: { type: "INT64" },
  float: { type: "DOUBLE" },
  bool: { type: "BOOLEAN" },
  string: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  binary: { type: "BYTE_ARRAY" },
} as const;

const baseOf = (kind: string) => kind.replace("?", "");

/** The Parquet schema of columns; all may be null, which a reader checks by its own columns. */
export function schemaOf(columns: Columns): SchemaElement[] {
  const elements: SchemaElement[] = [{ name: "root", num_children: Object.keys(columns).length }];
  for (const [name, kind] of Object.entries(columns)) {
    const base = baseOf(kind);
    if (base === "strings" || base === "ints") {
      elements.push(
        { name, repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST" },
        { name: "list", repetition_type: "REPEATED", num_children: 1 },
        { name: "element", repetition_type: "OPTIONAL", ...(base === "strings" ? types.string : types.int) },
      );
    } else elements.push({ name, repetition_type: "OPTIONAL", ...types[base as keyof typeof types] });
  }
  return elements;
}

/** A column's values as the writer takes them: 64-bit numbers are bigints. */
export function columnOf(kind: string, values: unknown[]): unknown[] {
  const base = baseOf(kind);
  if (base === "int") return values.map((value) => (value === null || value === undefined ? null : BigInt(value as number)));
  if (base === "ints") return values.map((value) => (Array.isArray(value) ? value.map(BigInt) : null));
  return values.map((value) => value ?? null);
}

/** Writes a table to a file, batch by batch; each batch is a row group. Answers with the number of rows. */
export async function writeTable<C extends Columns>(file: string, columns: C, batches: AsyncIterable<Row<C>[]>): Promise<number> {
  const sink: Writer = fileWriter(file);
  const writer = new ParquetWriter({ writer: sink, schema: schemaOf(columns) });
  let rows = 0;
  for await (const batch of batches) {
    if (batch.length === 0) continue;
    rows += batch.length;
    await writer.write({
      columnData: Object.entries(columns).map(([name, kind]) => ({
        name,
        data: columnOf(
          kind,
          batch.map((row) => row[name]),
        ) as never,
        // The least and the largest picture are of no use, and stand in the file twice.
        statistics: baseOf(kind) !== "binary",
      })),
      rowGroupSize: batch.length,
    });
  }
  await writer.finish();
  return rows;
}
