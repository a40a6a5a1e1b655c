/** All rows of a table, for tests. */
import type { Columns, Row, Table } from "../parquet";

export async function rowsOf<C extends Columns>(table: Table<C> | undefined): Promise<Row<C>[]> {
  const rows: Row<C>[] = [];
  if (table) for await (const batch of table.batches()) rows.push(...batch);
  return rows;
}
