/** Many rows in one statement, on both databases: columns as arrays, unnested by the server. */
import type { PoolClient } from "pg";

/** Column name → its PostgreSQL type and its values, all of one length. */
export type ColumnArrays = Record<string, [type: string, values: unknown[]]>;

export async function insertArrays(client: PoolClient, table: string, columns: ColumnArrays, suffix = ""): Promise<void> {
  const names = Object.keys(columns);
  const arrays = names.map((_, i) => `$${i + 1}::${columns[names[i] as string]?.[0]}[]`);
  await client.query(
    `INSERT INTO ${table} (${names.join(", ")}) SELECT * FROM unnest(${arrays.join(", ")}) ${suffix}`,
    Object.values(columns).map(([, values]) => values),
  );
}

/** A text[] value as one literal, for where arrays of arrays of different lengths are sent (`$1::text[]`, then cast each). */
export function textArrayLiteral(values: string[]): string {
  return `{${values.map((value) => `"${value.replace(/(["\\])/g, "\\$1")}"`).join(",")}}`;
}
