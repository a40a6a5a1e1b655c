/**
 * Many rows in one statement: columns as arrays. A server takes them by COPY; the embedded database, whose COPY holds all of its input in
 * memory, unnests them.
 */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { PoolClient } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import type { Database } from "./db";

/** Column name → its PostgreSQL type and its values, all of one length. Values of an array's type ("text[]") are arrays. */
export type ColumnArrays = Record<string, [type: string, values: unknown[]]>;

const isArray = (type: string) => type.endsWith("[]");

/** An array as a literal. Only a text needs quoting, and is quoted always. */
function arrayLiteral(values: unknown[]): string {
  return `{${values.map((value) => (typeof value === "string" ? `"${value.replace(/(["\\])/g, "\\$1")}"` : String(value))).join(",")}}`;
}

/** Inserts by unnest, which takes a suffix such as ON CONFLICT on both databases. */
export async function insertArrays(client: PoolClient, table: string, columns: ColumnArrays, suffix = ""): Promise<void> {
  const names = Object.keys(columns);
  const types = names.map((name) => columns[name]?.[0] ?? "text");
  // Arrays of different lengths make no array: each goes as a literal.
  const sent = types.map((type, i) => `$${i + 1}::${isArray(type) ? "text" : type}[]`);
  const taken = names.map((name, i) => (isArray(types[i] as string) ? `"${name}"::${types[i]}` : `"${name}"`));
  const quoted = names.map((name) => `"${name}"`).join(", ");
  await client.query(
    `INSERT INTO ${table} (${quoted}) SELECT ${taken.join(", ")} FROM unnest(${sent.join(", ")}) AS row (${quoted}) ${suffix}`,
    Object.values(columns).map(([type, values]) =>
      isArray(type) ? values.map((value) => (value === null ? null : arrayLiteral(value as unknown[]))) : values,
    ),
  );
}

const escapes: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };
const escaped = (text: string) => text.replace(/[\\\n\r\t]/g, (character) => escapes[character] as string);

/** One value in COPY's text format. */
function copyField(value: unknown): string {
  if (value === null || value === undefined) return "\\N";
  if (typeof value === "string") return escaped(value);
  if (value instanceof Uint8Array) return `\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}`;
  if (typeof value === "boolean") return value ? "t" : "f";
  if (Array.isArray(value)) return escaped(arrayLiteral(value));
  return String(value);
}

/** About how many characters go to the socket at once. */
const chunkSize = 1 << 18;

function* copyLines(columns: unknown[][]): Generator<string> {
  const rows = columns[0]?.length ?? 0;
  let chunk = "";
  for (let i = 0; i < rows; i++) {
    chunk += `${columns.map((values) => copyField(values[i])).join("\t")}\n`;
    if (chunk.length < chunkSize) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk) yield chunk;
}

/** Appends rows to a table, the fastest way that the database has. */
export async function fillTable(client: PoolClient, kind: Database["kind"], table: string, columns: ColumnArrays): Promise<void> {
  if ((Object.values(columns)[0]?.[1].length ?? 0) === 0) return;
  if (kind === "pglite") return insertArrays(client, table, columns);
  const names = Object.keys(columns).map((name) => `"${name}"`);
  const sink = client.query(copyFrom(`COPY ${table} (${names.join(", ")}) FROM STDIN`));
  const values = Object.values(columns).map(([, column]) => column);
  await pipeline(Readable.from(copyLines(values), { objectMode: false }), sink);
}
