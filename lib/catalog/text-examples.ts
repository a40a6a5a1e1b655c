import type { PoolClient } from "pg";
import { decodeBytes } from "@/lib/core/sparse-map";
import { partitionOf } from "./partitions";

/** One stored example over tokens, its activations dense: one for each token. */
export interface DenseExample {
  index: number;
  rank: number;
  tokens: string[];
  values: number[];
}

/** Every example over tokens of a dictionary, in order of index and rank, so many features at a time. */
export async function* textExamples(client: PoolClient, dictionaryId: number, features: number): AsyncGenerator<DenseExample[]> {
  const size = 256;
  for (let from = 0; from < features; from += size) {
    const { rows } = await client.query<{ index: number; rank: number; tokens: string[]; map_positions: Buffer; map_values: Buffer }>(
      `SELECT a.index, a.rank, t.tokens, a.map_positions, a.map_values FROM ${partitionOf("activation", dictionaryId)} a
       JOIN text_sequence t ON t.id = a.text_id WHERE a.band = 'text' AND a.index >= $1 AND a.index < $2 ORDER BY a.index, a.rank`,
      [from, from + size],
    );
    yield rows.map(({ index, rank, tokens, map_positions, map_values }) => {
      const values = tokens.map(() => 0);
      const map = decodeBytes(map_positions, map_values);
      map.positions.forEach((position, i) => {
        values[position] = map.values[i] ?? 0;
      });
      return { index, rank, tokens, values };
    });
  }
}
