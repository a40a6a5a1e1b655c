/**
 * Adding files to a dictionary that is there: the new rows are loaded first, and what they do not replace is taken over from the old
 * partitions. An explanation replaces that of the same feature and method, examples those of the same band, a metric that was measured
 * the one before.
 */
import type { PoolClient } from "pg";
import { type PartitionedTable, partitionOf } from "./partitions";

export interface OldDictionary {
  /** The database's number of the dictionary that is added to. */
  id: number;
}

type Merge = (client: PoolClient, id: number, old: OldDictionary) => Promise<void>;

const measured = [
  "density",
  "text_density",
  "max_activation",
  "mean_activation",
  "image_share",
  "images",
  "active_tokens",
  "dead",
  "always_on",
  "sink",
];

/** Takes over the rows whose key the new ones lack. */
async function takeOver(client: PoolClient, table: PartitionedTable, id: number, old: OldDictionary, key: string[], columns: string[]) {
  const same = key.map((column) => `new.${column} = old.${column}`).join(" AND ");
  await client.query(
    `INSERT INTO ${partitionOf(table, id)} (dictionary_id, ${columns.join(", ")})
     SELECT $1::int, ${columns.map((column) => `old.${column}`).join(", ")} FROM ${partitionOf(table, old.id)} old
     WHERE NOT EXISTS (SELECT FROM (SELECT DISTINCT ${key.join(", ")} FROM ${partitionOf(table, id)}) new WHERE ${same})`,
    [id],
  );
}

const explanations: Merge = async (client, id, old) => {
  const table = partitionOf("explanation", id);
  await client.query(
    `INSERT INTO ${table} (dictionary_id, id, index, method, author, text, label, concept, failure, prompt, created_at, preferred)
     SELECT $1::int, (SELECT coalesce(max(id), 0) FROM ${table}) + row_number() OVER (ORDER BY old.id), old.index, old.method, old.author, old.text,
       old.label, old.concept, old.failure, old.prompt, old.created_at,
       old.preferred AND NOT EXISTS (SELECT FROM ${table} new WHERE new.index = old.index AND new.preferred)
     FROM ${partitionOf("explanation", old.id)} old
     WHERE NOT EXISTS (SELECT FROM (SELECT DISTINCT index, method FROM ${table}) new WHERE new.index = old.index AND new.method = old.method)`,
    [id],
  );
};

/** A score stays with its explanation, also where the same text was imported again. */
const scores: Merge = async (client, id, old) => {
  const table = partitionOf("score", id);
  await client.query(
    `INSERT INTO ${table} (dictionary_id, explanation_id, metric, value, baseline, n, failure, method)
     SELECT DISTINCT ON (e.id, s.metric) $1::int, e.id, s.metric, s.value, s.baseline, s.n, s.failure, s.method
     FROM ${partitionOf("score", old.id)} s JOIN ${partitionOf("explanation", old.id)} was ON was.id = s.explanation_id
     JOIN ${partitionOf("explanation", id)} e ON e.index = was.index AND e.method = was.method AND e.text IS NOT DISTINCT FROM was.text
     WHERE NOT EXISTS (SELECT FROM ${table} new WHERE new.explanation_id = e.id AND new.metric = s.metric)
     ORDER BY e.id, s.metric, s.explanation_id`,
    [id],
  );
};

/** Into `staged_feature`, before the features are made of it. */
const features: Merge = async (client, _, old) => {
  await client.query(
    `UPDATE staged_feature s SET ${measured.map((column) => `${column} = coalesce(s.${column}, old.${column})`).join(", ")}
     FROM ${partitionOf("feature", old.id)} old WHERE old.index = s.index`,
  );
};

const payloads: Merge = async (client, id, old) => {
  await takeOver(
    client,
    "activation",
    id,
    old,
    ["index", "band"],
    ["index", "band", "rank", "image_id", "text_id", "rows", "cols", "peak", "mean", "map_positions", "map_values"],
  );
  await takeOver(client, "neighbour", id, old, ["index", "kind"], ["index", "kind", "neighbours", "neighbour_values"]);
  await takeOver(client, "feature_token", id, old, ["index", "kind"], ["index", "kind", "tokens", "token_values"]);
  // A histogram's bins end at the feature's maximum: with another maximum it would say something else.
  await client.query(
    `INSERT INTO ${partitionOf("histogram", id)} (dictionary_id, index, counts)
     SELECT $1::int, h.index, h.counts FROM ${partitionOf("histogram", old.id)} h
     JOIN ${partitionOf("feature", old.id)} was ON was.index = h.index JOIN ${partitionOf("feature", id)} f ON f.index = h.index
     WHERE f.max_activation = was.max_activation AND NOT EXISTS (SELECT FROM ${partitionOf("histogram", id)} new WHERE new.index = h.index)`,
    [id],
  );
};

export const mergeOld = { explanations, scores, features, payloads };
