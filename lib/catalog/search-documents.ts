/** What the search reads of a dictionary: a document for each feature that has words, and the distinct words of all. */
import type { PoolClient } from "pg";
import { isOneSlip } from "@/lib/core/one-slip";
import type { Queryable } from "./db";
import { partitionOf } from "./partitions";

/** Fills both from the dictionary's explanations, which must be there. */
export async function fillSearchDocuments(client: PoolClient, dictionaryId: number): Promise<void> {
  const documents = partitionOf("search_document", dictionaryId);
  // A document is cut where it is longer than anyone searches, below the database's limit on a word list.
  await client.query(
    `INSERT INTO ${documents} (dictionary_id, index, label, body, words)
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
  // What is shorter or longer is nobody's typo.
  await client.query(
    `INSERT INTO ${partitionOf("search_word", dictionaryId)} (dictionary_id, word)
     SELECT $1::int, word FROM ts_stat($2) WHERE char_length(word) BETWEEN 3 AND 60 AND word ~ '[[:alpha:]]'`,
    [dictionaryId, `SELECT words FROM ${documents}`],
  );
}

/** What the search reads of one feature. */
export interface SearchDocument {
  index: number;
  label: string;
  body: string;
}

/** Where a word form stands in a document. */
export interface WordPlaces {
  index: number;
  lexeme: string;
  places: number[];
  /** In step: `A` in the label, `B` in the explanations. */
  weights: string[];
}

/** All that the search reads of a dictionary, in order of index. */
export async function searchDocuments(db: Queryable, dictionaryId: number): Promise<{ documents: SearchDocument[]; words: WordPlaces[] }> {
  const documents = await db.rows<SearchDocument>(
    "SELECT index, label, body FROM search_document WHERE dictionary_id = $1 ORDER BY index",
    [dictionaryId],
  );
  const words = await db.rows<WordPlaces>(
    `SELECT s.index, w.lexeme, w.positions::int[] AS places, w.weights FROM search_document s CROSS JOIN LATERAL unnest(s.words) w
     WHERE s.dictionary_id = $1 ORDER BY w.lexeme, s.index`,
    [dictionaryId],
  );
  return { documents, words };
}

/** A word of the dictionary's that a mistyped one may stand for. */
export interface NearWord {
  word: string;
  /** Share of trigrams in common, 0..1. */
  likeness: number;
}

/** So much likeness is near; with less, down to the session's threshold (db.ts), one slip must make the word, and then counts so much. */
const nearEnough = 0.35;
const ofOneSlip = 0.5;

/** Words of the dictionary nearly spelled as each of `words`, the nearest first, at most `most` each. */
export async function nearWords(db: Queryable, dictionaryId: number, words: string[], most = 8): Promise<Map<string, NearWord[]>> {
  const found = new Map<string, NearWord[]>();
  if (words.length === 0) return found;
  const rows = await db.rows<NearWord & { asked: string }>(
    `SELECT asked, near.word, near.likeness::float8 AS likeness FROM unnest($2::text[]) asked CROSS JOIN LATERAL (
       SELECT w.word, strict_word_similarity(asked, w.word) AS likeness FROM search_word w
       WHERE w.dictionary_id = $1 AND asked <<% w.word ORDER BY likeness DESC, w.word LIMIT 64
     ) near`,
    [dictionaryId, words],
  );
  for (const word of words) {
    const near = rows
      .filter((row) => row.asked === word)
      .map(({ word: one, likeness }) => ({
        word: one,
        likeness: isOneSlip(word.toLowerCase(), one) ? Math.max(likeness, ofOneSlip) : likeness,
      }))
      .filter(({ likeness }) => likeness >= nearEnough)
      .sort((a, b) => b.likeness - a.likeness);
    if (near.length) found.set(word, near.slice(0, most));
  }
  return found;
}
