/** The rows of one dictionary, from a source's tables into partitions of its own. Memory is that of one batch. */
import type { PoolClient } from "pg";
import { conceptClasses } from "@/lib/core/records";
import type { DictionaryTables } from "@/lib/formats/bundle";
import { invalidBundle } from "@/lib/formats/manifest";
import type { SourceEntry } from "@/lib/formats/source";
import { checkMap, checkSource } from "./activation-rows";
import { type ColumnArrays, fillTable } from "./bulk";
import { scoreColumns, scoreColumnsSql } from "./feature-scores";
import { computeHistograms } from "./histograms";
import type { ImportMedia } from "./import-media";
import { mergeOld, type OldDictionary } from "./import-merge";
import { ImportReader } from "./import-progress";
import { watchIndexes } from "./index-progress";
import { attachPartitions, createPartitions, partitionOf } from "./partitions";
import { fillSearchDocuments } from "./search-documents";

export interface DictionaryImport {
  entry: SourceEntry;
  tables: DictionaryTables;
  attribution: string | null;
  modelId: number;
  ref: string;
  media: ImportMedia;
}

export interface NewDictionary extends DictionaryImport {
  content: string;
  version: string;
}

/** Bins of a feature's histogram (docs/formats.md). */
const bins = 32;
const concepts = new Set<string>(conceptClasses);

export class Importer extends ImportReader {
  async importDictionary(client: PoolClient, job: NewDictionary): Promise<void> {
    await this.#load(client, await this.#insertDictionary(client, job), job, null);
  }

  /**
   * A dictionary of the tables given and, where they say nothing, of the one with the number `old`, whose row it takes over. The caller drops
   * the old one's partitions.
   */
  async addToDictionary(client: PoolClient, old: number, addedContents: string[], job: DictionaryImport): Promise<void> {
    const { rows } = await client.query<{ id: number }>(
      "UPDATE dictionary SET id = DEFAULT, added_contents = $2, embedder = NULL, embedding_size = NULL, embeddings = 0 WHERE id = $1 RETURNING id",
      [old, addedContents],
    );
    await this.#load(client, (rows[0] as { id: number }).id, job, { id: old });
  }

  /** `old`: the dictionary that is added to; what the tables do not replace is taken over from it. */
  async #load(client: PoolClient, id: number, job: DictionaryImport, old: OldDictionary | null): Promise<void> {
    await createPartitions(client, id);
    await this.#explanations(client, id, job);
    if (old) await mergeOld.explanations(client, id, old);
    await this.#scores(client, id, job);
    if (old) await mergeOld.scores(client, id, old);
    await this.#features(client, id, job, old);
    await this.#activations(client, id, job);
    await this.#ranked(client, id, job);
    if (old) await mergeOld.payloads(client, id, old);
    this.begin("search words");
    await fillSearchDocuments(client, id);
    this.begin("histograms");
    await this.#count(client, id);
    // Sorting an index's rows in memory; for this transaction only.
    if (this.db.kind === "postgres") await client.query("SET LOCAL maintenance_work_mem = '256MB'");
    const watch = await watchIndexes(this.db, client, (stage, detail) => this.tell(stage, detail));
    try {
      await attachPartitions(client, id, (stage) => {
        this.begin(stage);
        watch.stage(stage);
      });
    } finally {
      watch.end();
    }
    await client.query("ANALYZE image");
  }

  #fill(client: PoolClient, table: string, columns: ColumnArrays): Promise<void> {
    return fillTable(client, this.db.kind, table, columns);
  }

  async #insertDictionary(client: PoolClient, job: NewDictionary): Promise<number> {
    const { entry, attribution, modelId, ref, content, version } = job;
    const { metrics } = entry;
    const { rows } = await client.query<{ id: number }>(
      `INSERT INTO dictionary (model_id, ref, name, sha256, content_sha256, hook, layer, num_latents, width, activation, k,
         explained_variance, fvu, l0, dead_share, loss_recovered, images, image_tokens, text_tokens,
         features, alive, explained, scored, histograms, attribution, version)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, 0, 0, 0, 0, '{}', $20, $21)
       RETURNING id`,
      [
        modelId,
        ref,
        entry.id,
        entry.sha256,
        content,
        entry.hook,
        entry.layer,
        entry.num_latents,
        entry.width,
        entry.activation,
        entry.k,
        metrics.explained_variance,
        metrics.fvu,
        metrics.l0,
        metrics.dead_share,
        metrics.loss_recovered,
        entry.images,
        entry.image_tokens,
        entry.text_tokens,
        attribution,
        version,
      ],
    );
    return (rows[0] as { id: number }).id;
  }

  #checkIndex(table: { file: string }, entry: SourceEntry, index: number): void {
    if (index < 0 || index >= entry.num_latents) {
      throw invalidBundle(`${table.file}: column index holds ${index}; the dictionary has the features 0 to ${entry.num_latents - 1}.`);
    }
  }

  async #explanations(client: PoolClient, id: number, { entry, tables: { explanations: table } }: DictionaryImport): Promise<void> {
    let next = 1;
    for await (const batch of this.read("explanations", table)) {
      for (const row of batch) {
        this.#checkIndex(table, entry, row.index);
        const where = `${table.file}: the explanation of feature ${row.index} by "${row.method}"`;
        if (row.concept !== null && !concepts.has(row.concept)) throw invalidBundle(`${where} has the unknown concept "${row.concept}".`);
        if ((row.text === null) !== (row.failure !== null)) throw invalidBundle(`${where} must have either a text or a failure.`);
        if (Number.isNaN(Date.parse(row.created_at))) throw invalidBundle(`${where} has no date in created_at ("${row.created_at}").`);
      }
      const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((row) => row[key]);
      const first = next;
      next += batch.length;
      await this.#fill(client, partitionOf("explanation", id), {
        dictionary_id: ["int", batch.map(() => id)],
        id: ["int", batch.map((_, i) => first + i)],
        index: ["int", column("index")],
        method: ["text", column("method")],
        author: ["text", column("author")],
        text: ["text", column("text")],
        label: ["text", column("label")],
        concept: ["text", column("concept")],
        failure: ["text", column("failure")],
        prompt: ["text", column("prompt")],
        created_at: ["timestamptz", column("created_at")],
        preferred: ["boolean", column("preferred")],
      });
    }
    // Without statistics the joins below and of the scores take the slowest way: minutes at 100,000 features.
    await client.query(`ANALYZE ${partitionOf("explanation", id)}`);
    const { rows } = await client.query<{ index: number }>(
      `SELECT index FROM ${partitionOf("explanation", id)} WHERE preferred GROUP BY index HAVING count(*) > 1 LIMIT 1`,
    );
    if (rows[0]) throw invalidBundle(`${table.file}: feature ${rows[0].index} has more than one preferred explanation.`);
  }

  async #scores(client: PoolClient, id: number, { entry, tables: { scores: table } }: DictionaryImport): Promise<void> {
    await client.query(
      `CREATE TEMP TABLE staged_score (index int, explanation text, metric text, value float8, baseline float8, n int, failure text, method text)
       ON COMMIT DROP`,
    );
    for await (const batch of this.read("scores", table)) {
      for (const row of batch) this.#checkIndex(table, entry, row.index);
      const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((row) => row[key]);
      await this.#fill(client, "staged_score", {
        index: ["int", column("index")],
        explanation: ["text", column("explanation")],
        metric: ["text", column("metric")],
        value: ["float8", column("value")],
        baseline: ["float8", column("baseline")],
        n: ["int", column("n")],
        failure: ["text", column("failure")],
        method: ["text", column("method")],
      });
    }
    await client.query("ANALYZE staged_score");
    await client.query(
      `INSERT INTO ${partitionOf("score", id)} (dictionary_id, explanation_id, metric, value, baseline, n, failure, method)
       SELECT $1::int, e.id, s.metric, s.value, s.baseline, s.n, s.failure, s.method FROM staged_score s
       JOIN (SELECT index, method, min(id) AS id FROM ${partitionOf("explanation", id)} GROUP BY index, method) e
         ON e.index = s.index AND e.method = s.explanation`,
      [id],
    );
    const { rows } = await client.query<{ index: number; explanation: string }>(
      `SELECT index, explanation FROM staged_score s WHERE NOT EXISTS
         (SELECT FROM ${partitionOf("explanation", id)} e WHERE e.index = s.index AND e.method = s.explanation) LIMIT 1`,
    );
    if (rows[0]) {
      throw invalidBundle(
        `${table.file}: a score of feature ${rows[0].index} names the explanation "${rows[0].explanation}", which explanations.parquet lacks.`,
      );
    }
    await client.query("DROP TABLE staged_score");
  }

  /** Features get the label, concept and scores of their preferred explanation. */
  async #features(
    client: PoolClient,
    id: number,
    { entry, tables: { features: table } }: DictionaryImport,
    old: OldDictionary | null,
  ): Promise<void> {
    await client.query(
      `CREATE TEMP TABLE staged_feature (index int, density float8, text_density float8, max_activation real, mean_activation real,
         image_share float8, images int, active_tokens bigint, dead boolean, always_on boolean, sink boolean) ON COMMIT DROP`,
    );
    for await (const batch of this.read("features", table)) {
      for (const row of batch) {
        this.#checkIndex(table, entry, row.index);
        const counts = row.hist_counts;
        if (counts && (counts.length !== bins || counts.some((count) => count < 0))) {
          throw invalidBundle(`${table.file}: hist_counts of feature ${row.index} must be ${bins} counts.`);
        }
      }
      const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((row) => row[key]);
      await this.#fill(client, "staged_feature", {
        index: ["int", column("index")],
        density: ["float8", column("density")],
        text_density: ["float8", column("text_density")],
        max_activation: ["real", column("max_activation")],
        mean_activation: ["real", column("mean_activation")],
        image_share: ["float8", column("image_share")],
        images: ["int", column("images")],
        active_tokens: ["bigint", column("active_tokens")],
        dead: ["boolean", column("dead")],
        always_on: ["boolean", column("always_on")],
        sink: ["boolean", column("sink")],
      });
      const counted = batch.filter((row) => row.hist_counts?.some((count) => count > 0));
      await this.#fill(client, partitionOf("histogram", id), {
        dictionary_id: ["int", counted.map(() => id)],
        index: ["int", counted.map((row) => row.index)],
        counts: ["bigint[]", counted.map((row) => row.hist_counts)],
      });
    }
    await client.query("ANALYZE staged_feature");
    if (old) await mergeOld.features(client, id, old);
    const explanation = partitionOf("explanation", id);
    const score = partitionOf("score", id);
    await client.query(
      `INSERT INTO ${partitionOf("feature", id)} (dictionary_id, index, label, concept, density, text_density, max_activation, mean_activation,
         image_share, ${scoreColumns()}, images, active_tokens, dead, always_on, sink, explained)
       SELECT $1::int, f.index, e.label, e.concept, f.density, f.text_density, f.max_activation, f.mean_activation, f.image_share,
         ${scoreColumns("s")}, f.images, f.active_tokens, coalesce(f.dead, false), coalesce(f.always_on, false), coalesce(f.sink, false), e.text IS NOT NULL
       FROM staged_feature f LEFT JOIN ${explanation} e ON e.index = f.index AND e.preferred
       LEFT JOIN (${scoreColumnsSql(score)}) s ON s.explanation_id = e.id
       ORDER BY f.index`,
      [id],
    );
    await client.query("DROP TABLE staged_feature");
    const { rows } = await client.query<{ features: number }>(
      `SELECT count(DISTINCT index)::int AS features FROM ${partitionOf("feature", id)}`,
    );
    if (rows[0]?.features !== entry.num_latents) {
      throw invalidBundle(
        `${table.file}: every index from 0 to ${entry.num_latents - 1} must be there once; ${rows[0]?.features} of them are.`,
      );
    }
  }

  async #activations(client: PoolClient, id: number, { entry, tables, media }: DictionaryImport): Promise<void> {
    const table = tables.activations;
    for await (const batch of this.read("activations", table, 2_048)) {
      const { images, texts } = await media.numbersFor(batch);
      for (const row of batch) {
        this.#checkIndex(table, entry, row.index);
        const where = `${table.file}: feature ${row.index}, band ${row.band}, rank ${row.rank}`;
        checkSource(where, row, images, texts);
        checkMap(where, row);
      }
      const column = <K extends keyof (typeof batch)[number]>(key: K) => batch.map((row) => row[key]);
      await this.#fill(client, partitionOf("activation", id), {
        dictionary_id: ["int", batch.map(() => id)],
        index: ["int", column("index")],
        band: ["band", column("band")],
        rank: ["smallint", column("rank")],
        image_id: ["int", batch.map((row) => (row.image === null ? null : images.get(row.image)))],
        text_id: ["int", batch.map((row) => (row.text === null ? null : texts.get(row.text)?.id))],
        rows: ["smallint", column("rows")],
        cols: ["smallint", column("cols")],
        peak: ["real", column("peak")],
        mean: ["real", column("mean")],
        map_positions: ["bytea", batch.map((row) => Buffer.from(row.positions))],
        map_values: ["bytea", batch.map((row) => Buffer.from(row.values))],
      });
    }
  }

  /** Neighbours and tokens: rows of ranks become one array a feature and kind. */
  async #ranked(client: PoolClient, id: number, { entry, tables }: DictionaryImport): Promise<void> {
    await client.query(
      "CREATE TEMP TABLE staged_rank (index int, kind text, rank int, neighbour int, token text, value real) ON COMMIT DROP",
    );
    for await (const batch of this.read("neighbours", tables.neighbours)) {
      for (const row of batch) {
        this.#checkIndex(tables.neighbours, entry, row.index);
        this.#checkIndex(tables.neighbours, entry, row.neighbour);
      }
      await this.#fill(client, "staged_rank", {
        index: ["int", batch.map((row) => row.index)],
        kind: ["text", batch.map((row) => row.kind)],
        rank: ["int", batch.map((row) => row.rank)],
        neighbour: ["int", batch.map((row) => row.neighbour)],
        value: ["real", batch.map((row) => row.value)],
      });
    }
    await client.query(
      `INSERT INTO ${partitionOf("neighbour", id)} (dictionary_id, index, kind, neighbours, neighbour_values)
       SELECT $1::int, index, kind, array_agg(neighbour ORDER BY rank), array_agg(value ORDER BY rank) FROM staged_rank GROUP BY index, kind`,
      [id],
    );
    await client.query("TRUNCATE staged_rank");
    for await (const batch of this.read("tokens", tables.tokens)) {
      for (const row of batch) this.#checkIndex(tables.tokens, entry, row.index);
      await this.#fill(client, "staged_rank", {
        index: ["int", batch.map((row) => row.index)],
        kind: ["text", batch.map((row) => row.kind)],
        rank: ["int", batch.map((row) => row.rank)],
        token: ["text", batch.map((row) => row.token)],
        value: ["real", batch.map((row) => row.value)],
      });
    }
    await client.query(
      `INSERT INTO ${partitionOf("feature_token", id)} (dictionary_id, index, kind, tokens, token_values)
       SELECT $1::int, index, kind, array_agg(token ORDER BY rank), array_agg(value ORDER BY rank) FROM staged_rank GROUP BY index, kind`,
      [id],
    );
    await client.query("DROP TABLE staged_rank");
  }

  async #count(client: PoolClient, id: number): Promise<void> {
    const feature = partitionOf("feature", id);
    const histograms = await computeHistograms(client, feature);
    await client.query(
      `UPDATE dictionary SET (features, alive, explained, scored) = (
         SELECT count(*), count(*) FILTER (WHERE NOT dead), count(*) FILTER (WHERE explained),
           count(*) FILTER (WHERE num_nonnulls(${scoreColumns()}) > 0) FROM ${feature}
       ), histograms = $2 WHERE id = $1`,
      [id, JSON.stringify(histograms)],
    );
  }
}
