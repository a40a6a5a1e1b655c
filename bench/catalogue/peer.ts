/**
 * Two questions as Neuronpedia's public code asks them, on the same rows and the same server: the feature's index is a text, cast to be sorted by;
 * pages are cut by OFFSET; every row of a page brings all of its activations; a search takes the nearest explanations first and filters what it
 * took. The schema and the statements are written here for the comparison; none of that project's code is used.
 */
import type { Database } from "@/lib/catalog/db";
import { writeCursor } from "@/lib/core/feature-cursor";
import { emptyFeatureQuery, type FeatureQuery } from "@/lib/core/feature-query";
import { createRandom } from "@/lib/core/random";
import type { Embedder } from "@/lib/search/embedder";
import { listFeatures } from "@/lib/search/list-features";
import { paraphrases } from "./search";
import { round, summarise, type Times, timed } from "./timing";

/** Copies the dictionary into tables of that shape, in a schema of their own, where they are not there already. */
async function ensureTables(db: Database, dictionaryId: number): Promise<void> {
  const [there] = await db.rows("SELECT FROM pg_namespace WHERE nspname = 'peer'");
  if (there) return;
  await db.transaction(async (client) => {
    await client.query("SET LOCAL maintenance_work_mem = '512MB'");
    for (const statement of [
      "CREATE SCHEMA peer",
      `CREATE TABLE peer.neuron AS SELECT 'bench-model'::text AS model_id, '24-residual'::text AS layer, index::text AS index, density AS frac_nonzero,
         max_activation::float8 AS max_act, iou, clip, consistency FROM feature WHERE dictionary_id = ${dictionaryId}`,
      "ALTER TABLE peer.neuron ADD PRIMARY KEY (model_id, layer, index)",
      `CREATE TABLE peer.activation AS SELECT gen_random_uuid()::text AS id, 'bench-model'::text AS model_id, '24-residual'::text AS layer,
         index::text AS index, peak::float8 AS max_value, image_id, map_positions, map_values FROM activation WHERE dictionary_id = ${dictionaryId}`,
      "CREATE INDEX ON peer.activation (model_id, layer, index)",
      `CREATE TABLE peer.explanation AS SELECT gen_random_uuid()::text AS id, 'bench-model'::text AS model_id, '24-residual'::text AS layer,
         d.index::text AS index, d.body AS description, v.embedding::vector(384) AS embedding
         FROM search_document d JOIN search_meaning m USING (dictionary_id, index)
         JOIN search_vector v ON v.dictionary_id = m.dictionary_id AND v.index = m.vector WHERE d.dictionary_id = ${dictionaryId}`,
      "CREATE INDEX ON peer.explanation (model_id, layer, index)",
    ]) {
      await client.query(statement);
    }
  });
  await db.rows("ANALYZE peer.neuron, peer.activation, peer.explanation");
}

interface Compared {
  ours: Times;
  theirs: Times;
  /** Theirs over ours, of the medians and of the 95th percentiles. */
  ratioP50: number;
  ratioP95: number;
}

function compared(ours: number[], theirs: number[]): Compared {
  const [a, b] = [summarise(ours), summarise(theirs)];
  return { ours: a, theirs: b, ratioP50: round(b.p50 / a.p50), ratioP95: round(b.p95 / a.p95) };
}

async function theirPage(db: Database, offset: number): Promise<void> {
  const rows = await db.rows<{ index: string }>(
    `SELECT * FROM peer.neuron WHERE model_id = 'bench-model' AND layer = '24-residual'
     ORDER BY CASE WHEN index ~ '^[0-9]+$' THEN index::integer END LIMIT 50 OFFSET ${offset}`,
  );
  const indices = rows.map((row) => row.index);
  await db.rows("SELECT * FROM peer.activation WHERE model_id = 'bench-model' AND layer = '24-residual' AND index = ANY($1)", [indices]);
  await db.rows(
    "SELECT id, index, description FROM peer.explanation WHERE model_id = 'bench-model' AND layer = '24-residual' AND index = ANY($1)",
    [indices],
  );
}

async function theirSearch(db: Database, vector: Float32Array, least: number): Promise<number> {
  const near = await db.rows<{ index: string }>(
    `SELECT id, index, description, embedding <=> $1::vector AS distance FROM peer.explanation
     WHERE model_id = 'bench-model' AND layer = '24-residual' ORDER BY distance LIMIT 50`,
    [`[${vector.join(",")}]`],
  );
  const kept = await db.rows<{ index: string }>(
    "SELECT * FROM peer.neuron WHERE model_id = 'bench-model' AND layer = '24-residual' AND index = ANY($1) AND frac_nonzero >= $2",
    [near.map((row) => row.index), least],
  );
  await db.rows("SELECT * FROM peer.activation WHERE model_id = 'bench-model' AND layer = '24-residual' AND index = ANY($1)", [
    kept.map((row) => row.index),
  ]);
  return kept.length;
}

export interface PeerMeasure {
  page: Compared;
  /** Without a vector index, as a fresh installation has it, and with one. */
  search: Compared & { rowsOfFiftyOurs: number; rowsOfFiftyTheirs: number };
  searchIndexed: Compared & { rowsOfFiftyTheirs: number };
}

export async function measurePeer(
  db: Database,
  ref: string,
  dictionaryId: number,
  features: number,
  embedder: Embedder,
  rounds: number,
): Promise<PeerMeasure> {
  await ensureTables(db, dictionaryId);
  const random = createRandom(5);
  const page: [number[], number[]] = [[], []];
  for (let i = -5; i < rounds; i++) {
    const start = Math.floor(random() * (features - 60));
    const query: FeatureQuery = { ...emptyFeatureQuery, dictionary: ref, sort: "index", direction: "asc" };
    query.cursor = writeCursor(query, { value: start - 1, index: Math.max(0, start - 1) }, "after");
    const [, ours] = await timed(() => listFeatures(db, query));
    const [, theirs] = await timed(() => theirPage(db, start));
    if (i >= 0) [ours, theirs].forEach((ms, side) => void page[side]?.push(ms));
  }
  const [{ least } = { least: 0 }] = await db.rows<{ least: number }>(
    "SELECT percentile_disc(0.9) WITHIN GROUP (ORDER BY density) AS least FROM feature WHERE dictionary_id = $1",
    [dictionaryId],
  );
  const search = async () => {
    const times: [number[], number[]] = [[], []];
    const rows: [number, number] = [0, 0];
    for (let i = -3; i < rounds; i++) {
      const q = paraphrases[(i + 3) % paraphrases.length] as string;
      const [vector] = await embedder.embed([q]);
      // A filter that was not counted before, as everywhere here.
      const bound = least * (1 + 1e-4 * random());
      const query: FeatureQuery = {
        ...emptyFeatureQuery,
        dictionary: ref,
        q,
        sort: "relevance",
        direction: "desc",
        ranges: { density: { min: bound } },
      };
      const [found, ours] = await timed(() => listFeatures(db, query));
      const [kept, theirs] = await timed(() => theirSearch(db, vector as Float32Array, bound));
      if (i < 0) continue;
      [ours, theirs].forEach((ms, side) => void times[side]?.push(ms));
      rows[0] += found.items.length / rounds;
      rows[1] += kept / rounds;
    }
    return { ...compared(...times), rowsOfFiftyOurs: round(rows[0]), rowsOfFiftyTheirs: round(rows[1]) };
  };
  await db.rows("DROP INDEX IF EXISTS peer.explanation_nearest");
  const plain = await search();
  await db.transaction(async (client) => {
    await client.query("SET LOCAL maintenance_work_mem = '512MB'");
    await client.query("CREATE INDEX explanation_nearest ON peer.explanation USING hnsw (embedding vector_cosine_ops)");
  });
  return { page: compared(...page), search: plain, searchIndexed: await search() };
}
