/** The tables that belong to a dictionary: each dictionary's rows lie in partitions of their own. */
import type { PoolClient } from "pg";

export const partitionedTables = [
  "feature",
  "search_document",
  "search_word",
  "search_vector",
  "search_meaning",
  "histogram",
  "activation",
  "explanation",
  "score",
  "neighbour",
  "feature_token",
] as const;
export type PartitionedTable = (typeof partitionedTables)[number];

export const partitionOf = (table: PartitionedTable, dictionaryId: number) => `${table}_d${dictionaryId}`;

/** Makes bare tables, without indexes, to be filled before they become partitions. */
export async function createPartitions(client: PoolClient, dictionaryId: number): Promise<void> {
  for (const table of partitionedTables) {
    const partition = partitionOf(table, dictionaryId);
    await client.query(`CREATE TABLE ${partition} (LIKE ${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`);
    // Lets the database attach the partition without reading it again.
    await client.query(`ALTER TABLE ${partition} ADD CHECK (dictionary_id = ${dictionaryId})`);
  }
}

/** Every index of the partitioned tables, as the statement that makes the like on a partition. */
async function indexStatements(client: PoolClient, dictionaryId: number): Promise<{ table: PartitionedTable; sql: string }[]> {
  const { rows } = await client.query<{ table: PartitionedTable; definition: string; constraint: string | null }>(
    `SELECT t.relname AS table, pg_get_indexdef(i.indexrelid) AS definition, pg_get_constraintdef(c.oid) AS constraint
     FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
     WHERE i.indrelid = ANY($1::regclass[]) ORDER BY array_position($1::regclass[], i.indrelid::regclass), i.indexrelid`,
    [partitionedTables as unknown as string[]],
  );
  return rows.map(({ table, definition, constraint }) => {
    const partition = partitionOf(table, dictionaryId);
    const sql = constraint
      ? `ALTER TABLE ${partition} ADD ${constraint}`
      : definition.replace(/^CREATE (UNIQUE )?INDEX \S+ ON (?:ONLY )?\S+/, (_, unique = "") => `CREATE ${unique}INDEX ON ${partition}`);
    return { table, sql };
  });
}

/**
 * Makes the filled tables partitions, with their indexes and statistics for the planner. The indexes are made one by one before a table is
 * attached, which then takes them for its own: only so can each be told and stopped. `onStep` hears what comes next: "index 3 of 25 (feature)".
 */
export async function attachPartitions(
  client: PoolClient,
  dictionaryId: number,
  onStep: (stage: string) => void = () => {},
): Promise<void> {
  const indexes = await indexStatements(client, dictionaryId);
  for (const [i, { table, sql }] of indexes.entries()) {
    onStep(`index ${i + 1} of ${indexes.length} (${table})`);
    await client.query(sql);
  }
  for (const table of partitionedTables) {
    const partition = partitionOf(table, dictionaryId);
    onStep(`statistics of ${table}`);
    await client.query(`ALTER TABLE ${table} ATTACH PARTITION ${partition} FOR VALUES IN (${dictionaryId})`);
    await client.query(`ANALYZE ${partition}`);
  }
}

export async function dropPartitions(client: PoolClient, dictionaryId: number): Promise<void> {
  for (const table of partitionedTables) await client.query(`DROP TABLE ${partitionOf(table, dictionaryId)}`);
}
