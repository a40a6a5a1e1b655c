/**
 * The columns that lists filter by, of a large dictionary, in this process's memory: how many of 131,072 features pass a filter takes the
 * database 20 ms and more, each time that a bound is moved, and here less than one. A dictionary's rows never change under its number, so
 * that what was read stays true. Until they are read, and for small dictionaries, the database counts.
 */
import { type FilterColumns, passingRows } from "@/lib/core/feature-filter";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { conceptClasses, flagKeys, type MetricKey, metricKeys } from "@/lib/core/records";
import type { Queryable } from "./db";

/** Smaller dictionaries are counted by the database, in a few milliseconds. */
const leastFeatures = 16_384;
/** Of all dictionaries together; beyond it the one that was asked for longest ago goes. One of 131,072 features has 13 MiB. */
const mostBytes = 160 * 2 ** 20;

/** Every index from 0 to `rows` is there once, at its place. */
export interface FeatureColumns extends FilterColumns {
  bytes: number;
}

/** What passes the filters of a query. */
export interface Passing {
  count: number;
  /** Features in ascending order, where few pass. */
  indices: number[] | null;
}

/** So few features are looked up one by one faster than by conditions. */
const few = 400;

/** Which rows pass the filters of `query`; its search, order and cursor play no part. */
export function passColumns(columns: FeatureColumns, query: FeatureQuery): Passing {
  const { rows } = columns;
  const passes = passingRows(columns, query);
  let count = 0;
  for (let i = 0; i < rows; i++) count += passes[i] as number;
  if (count > few) return { count, indices: null };
  const indices: number[] = [];
  for (let i = 0; i < rows; i++) if (passes[i]) indices.push(i);
  return { count, indices };
}

/** Big-endian doubles, as the database sends them. */
function doubles(bytes: Buffer): Float64Array {
  const turned = new ArrayBuffer(bytes.byteLength);
  const view = Buffer.from(turned);
  view.set(bytes);
  view.swap64();
  return new Float64Array(turned);
}

export async function readColumns(db: Queryable, dictionaryId: number): Promise<FeatureColumns> {
  const column = (expression: string, name: string) => `string_agg(${expression}, ''::bytea ORDER BY index) AS ${name}`;
  const byte = (expression: string, name: string) => column(`set_byte('\\x00'::bytea, 0, ${expression})`, name);
  const [row] = await db.rows<Record<MetricKey | "flags" | "concepts", Buffer | null>>(
    `SELECT ${metricKeys.map((key) => column(`float8send(coalesce(${key}::float8, 'NaN'))`, key)).join(", ")},
       ${byte(flagKeys.map((key, bit) => `(${key}::int << ${bit})`).join(" | "), "flags")},
       ${byte("coalesce(array_position($2::text[], concept), 0)", "concepts")}
     FROM feature WHERE dictionary_id = $1`,
    [dictionaryId, conceptClasses],
  );
  const bytesOf = (key: MetricKey | "flags" | "concepts") => row?.[key] ?? Buffer.alloc(0);
  const metrics = Object.fromEntries(metricKeys.map((key) => [key, doubles(bytesOf(key))])) as Record<MetricKey, Float64Array>;
  const flags = new Uint8Array(bytesOf("flags"));
  return {
    rows: flags.length,
    bytes: flags.length * (8 * metricKeys.length + 2),
    metrics,
    flags,
    concepts: new Uint8Array(bytesOf("concepts")),
  };
}

/** `null`: being read, or not worth it. */
type Kept = Map<number, FeatureColumns | null>;
const keptOf = new WeakMap<Queryable, Kept>();

async function fetchColumns(db: Queryable, kept: Kept, dictionaryId: number, least: number): Promise<void> {
  const [row] = await db.rows<{ features: number }>("SELECT features FROM dictionary WHERE id = $1", [dictionaryId]);
  if (!row || row.features < least) return;
  const columns = await readColumns(db, dictionaryId);
  kept.delete(dictionaryId);
  kept.set(dictionaryId, columns);
  let bytes = [...kept.values()].reduce((sum, one) => sum + (one?.bytes ?? 0), 0);
  for (const [id, one] of kept) {
    if (bytes <= mostBytes || id === dictionaryId) break;
    kept.delete(id);
    bytes -= one?.bytes ?? 0;
  }
}

/** What passes, where the dictionary's columns are in memory; else null, and they are read for the next time. `least`: for tests. */
export function passInMemory(db: Queryable, dictionaryId: number, query: FeatureQuery, least = leastFeatures): Passing | null {
  const kept: Kept = keptOf.get(db) ?? new Map();
  keptOf.set(db, kept);
  const columns = kept.get(dictionaryId);
  if (columns) {
    // The last one asked for is the last to go.
    kept.delete(dictionaryId);
    kept.set(dictionaryId, columns);
    return passColumns(columns, query);
  }
  if (columns === undefined) {
    kept.set(dictionaryId, null);
    // A database that fails says so to whoever asks it next.
    fetchColumns(db, kept, dictionaryId, least).catch(() => kept.delete(dictionaryId));
  }
  return null;
}
