import type { PoolClient } from "pg";
import { partitionOf } from "./partitions";

/** Fills what the search reads of a dictionary from its explanations, which must be there. */
export async function fillSearchDocuments(client: PoolClient, dictionaryId: number): Promise<void> {
  // A document is cut where it is longer than anyone searches, below the database's limit on a word list.
  await client.query(
    `INSERT INTO ${partitionOf("search_document", dictionaryId)} (dictionary_id, index, label, body, words)
     SELECT $1::int, index, label, body,
       setweight(to_tsvector('english', label) || to_tsvector('simple', label), 'A') ||
       setweight(to_tsvector('english', body) || to_tsvector('simple', body), 'B')
     FROM (
       SELECT index, coalesce((array_agg(label ORDER BY preferred DESC, id) FILTER (WHERE label IS NOT NULL))[1], '') AS label,
         left(coalesce(string_agg(text, E'\\n' ORDER BY preferred DESC, id), ''), 100000) AS body
       FROM ${partitionOf("explanation", dictionaryId)} WHERE text IS NOT NULL OR label IS NOT NULL GROUP BY index
     ) document`,
    [dictionaryId],
  );
}
