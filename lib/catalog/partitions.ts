/** The tables that belong to a dictionary: each dictionary's rows lie in partitions of their own. */
import type { PoolClient } from "pg";

export const partitionedTables = [
  "feature",
  "search_document",
  "search_vector",
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

/** Makes the filled tables partitions, which builds their indexes, and takes statistics for the planner. */
export async function attachPartitions(
  client: PoolClient,
  dictionaryId: number,
  onTable: (table: PartitionedTable) => void = () => {},
): Promise<void> {
  for (const table of partitionedTables) {
    onTable(table);
    const partition = partitionOf(table, dictionaryId);
    await client.query(`ALTER TABLE ${table} ATTACH PARTITION ${partition} FOR VALUES IN (${dictionaryId})`);
    await client.query(`ANALYZE ${partition}`);
  }
}

export async function dropPartitions(client: PoolClient, dictionaryId: number): Promise<void> {
  for (const table of partitionedTables) await client.query(`DROP TABLE ${partitionOf(table, dictionaryId)}`);
}
