/** A dictionary of the catalogue as the tables that an import reads: what the catalogue holds, in ascending order of index, page by page. */
import { createHash } from "node:crypto";
import type { PoolClient, QueryResultRow } from "pg";
import { FacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import type { featureColumns, imageColumns, textColumns } from "@/lib/formats/bundle";
import type { Columns, Row, Table } from "@/lib/formats/parquet";
import type { Source, SourceDictionary, SourceEntry } from "@/lib/formats/source";
import type { Database } from "./db";
import { locateVersion } from "./dictionaries";
import { readImage } from "./image-files";
import { type PartitionedTable, partitionOf } from "./partitions";

/** Features whose rows are read at once where a feature has many. */
const featuresAPage = 256;

/** Pages of a query by ascending number: `sql` takes the last number before ($1) and how many ($2). */
async function* pages<R extends QueryResultRow & { page_key: number }>(client: PoolClient, sql: string, size: number): AsyncGenerator<R[]> {
  for (let after = -1; ; ) {
    const { rows } = await client.query<R>(sql, [after, size]);
    const last = rows.at(-1);
    if (!last) return;
    yield rows;
    after = last.page_key;
    if (rows.length < size) return;
  }
}

/** Rows of a table with many a feature, so many features at a time. */
async function* byFeatures<R extends QueryResultRow>(client: PoolClient, count: number, sql: string): AsyncGenerator<R[]> {
  for (let from = 0; from < count; from += featuresAPage) {
    const { rows } = await client.query<R>(sql, [from, from + featuresAPage]);
    if (rows.length) yield rows;
  }
}

/** Regroups batches to a size. */
async function* regrouped<R>(batches: AsyncIterable<R[]>, size: number): AsyncGenerator<R[]> {
  for await (const batch of batches) {
    for (let from = 0; from < batch.length; from += size) yield batch.slice(from, from + size);
  }
}

/** The tables of one dictionary, on a connection that is in a transaction. */
async function readTables(client: PoolClient, id: number, features: number): Promise<SourceDictionary["tables"]> {
  const of = (name: PartitionedTable) => partitionOf(name, id);
  const range = "t.index >= $1 AND t.index < $2";
  const table = async <C extends Columns>(
    name: PartitionedTable,
    rows: string,
    sql: string,
    read: () => AsyncIterable<Row<C>[]> = () => byFeatures<Row<C>>(client, features, sql),
  ): Promise<Table<C>> => {
    const counted = await client.query<{ rows: number }>(`SELECT coalesce(${rows}, 0)::int AS rows FROM ${of(name)}`);
    return { file: of(name), rows: counted.rows[0]?.rows ?? 0, batches: (size = 4_096) => regrouped(read(), size) };
  };
  const featureSql = `SELECT f.index, f.index AS page_key, density, text_density, max_activation, mean_activation, image_share, images,
      active_tokens::float8 AS active_tokens, dead, always_on, sink, to_jsonb(h.counts) AS hist_counts
    FROM ${of("feature")} f LEFT JOIN ${of("histogram")} h ON h.index = f.index
    WHERE f.index > $1 ORDER BY f.index LIMIT $2`;
  return {
    features: await table<typeof featureColumns>("feature", "count(*)", "", () =>
      pages<Row<typeof featureColumns> & { page_key: number }>(client, featureSql, 4_096),
    ),
    activations: await table(
      "activation",
      "count(*)",
      `SELECT t.index, t.band::text AS band, t.rank, i.sha256 AS image, t.text_id AS text, t.rows, t.cols, t.peak, t.mean,
         t.map_positions AS positions, t.map_values AS values
       FROM ${of("activation")} t LEFT JOIN image i ON i.id = t.image_id WHERE ${range} ORDER BY t.index, t.band, t.rank`,
    ),
    explanations: await table(
      "explanation",
      "count(*)",
      `SELECT t.index, t.method, t.author, t.text, t.label, t.concept, t.failure, t.prompt, t.preferred,
         to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
       FROM ${of("explanation")} t WHERE ${range} ORDER BY t.index, t.id`,
    ),
    scores: await table(
      "score",
      "count(*)",
      // A bundle's scores name the explanation by its method; of several of one method the first has them.
      `SELECT DISTINCT ON (t.index, t.method, s.metric) t.index, t.method AS explanation, s.metric, s.value, s.baseline, s.n, s.failure, s.method
       FROM ${of("explanation")} t JOIN ${of("score")} s ON s.explanation_id = t.id WHERE ${range} ORDER BY t.index, t.method, s.metric, t.id`,
    ),
    neighbours: await table(
      "neighbour",
      "sum(cardinality(neighbours))",
      `SELECT t.index, t.kind, (one.rank - 1)::int AS rank, one.neighbour, one.value FROM ${of("neighbour")} t
       CROSS JOIN LATERAL unnest(t.neighbours, t.neighbour_values) WITH ORDINALITY AS one (neighbour, value, rank)
       WHERE ${range} ORDER BY t.index, t.kind, one.rank`,
    ),
    tokens: await table(
      "feature_token",
      "sum(cardinality(tokens))",
      `SELECT t.index, t.kind, (one.rank - 1)::int AS rank, one.token, one.value FROM ${of("feature_token")} t
       CROSS JOIN LATERAL unnest(t.tokens, t.token_values) WITH ORDINALITY AS one (token, value, rank)
       WHERE ${range} ORDER BY t.index, t.kind, one.rank`,
    ),
  };
}

/**
 * The pictures and texts that the dictionaries show; where the catalogue holds no other model, all of them, since some may be there to be
 * looked at only.
 */
async function stageMedia(client: PoolClient, ids: number[], modelId: number): Promise<void> {
  const others = await client.query("SELECT FROM dictionary WHERE model_id <> $1 LIMIT 1", [modelId]);
  const all = others.rows.length === 0;
  const shown = (column: string) =>
    ids.map((id) => `SELECT DISTINCT ${column} FROM ${partitionOf("activation", id)} WHERE ${column} IS NOT NULL`).join(" UNION ");
  await client.query("CREATE TEMP TABLE exported_text (id int PRIMARY KEY) ON COMMIT DROP");
  await client.query("CREATE TEMP TABLE exported_image (id int PRIMARY KEY) ON COMMIT DROP");
  await client.query(`INSERT INTO exported_text ${all ? "SELECT id FROM text_sequence" : shown("text_id")}`);
  await client.query(
    `INSERT INTO exported_image ${
      all
        ? "SELECT id FROM image"
        : `${shown("image_id")} UNION SELECT t.image_id FROM text_sequence t JOIN exported_text USING (id) WHERE t.image_id IS NOT NULL`
    }`,
  );
}

async function countOf(client: PoolClient, table: string): Promise<number> {
  return (await client.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${table}`)).rows[0]?.rows ?? 0;
}

async function imagesOf(client: PoolClient, imagesDir: string): Promise<Source["images"]> {
  const sql = `SELECT i.id AS page_key, sha256, mime, width, height, source, caption FROM image i JOIN exported_image USING (id)
    WHERE i.id > $1 ORDER BY i.id LIMIT $2`;
  async function* read(): AsyncGenerator<Row<typeof imageColumns>[]> {
    for await (const rows of pages<Omit<Row<typeof imageColumns>, "bytes"> & { page_key: number }>(client, sql, 64)) {
      const batch: Row<typeof imageColumns>[] = [];
      for (const row of rows) {
        const bytes = await readImage(imagesDir, row.sha256).catch((cause) => {
          throw new FacetError("image_not_found", `The file of image ${row.sha256.slice(0, 12)}… is gone from the data folder.`, {
            fix: "Import its bundle again, which restores it, and export then.",
            cause,
          });
        });
        batch.push({ ...row, bytes });
      }
      yield batch;
    }
  }
  return { file: "image", rows: await countOf(client, "exported_image"), batches: (size = 64) => regrouped(read(), size) };
}

async function textsOf(client: PoolClient): Promise<Source["texts"]> {
  const sql = `SELECT t.id AS page_key, t.id, t.tokens, i.sha256 AS image FROM text_sequence t JOIN exported_text USING (id)
    LEFT JOIN image i ON i.id = t.image_id WHERE t.id > $1 ORDER BY t.id LIMIT $2`;
  const rows = await countOf(client, "exported_text");
  return {
    file: "text",
    rows,
    batches: (size = 1_024) => regrouped(pages<Row<typeof textColumns> & { page_key: number }>(client, sql, 1_024), size),
  };
}

export interface ExportedSource extends Source {
  /** The database's number of each dictionary, in the order of `dictionaries`. */
  ids: number[];
}

/**
 * Reads dictionaries of one model, each by `<model>/<dictionary>` and perhaps its version, and hands them to `work` as a source whose tables
 * can be read while it runs; what others write meanwhile is not seen. Throws `dictionary_not_found`, `version_mismatch`, and
 * `invalid_request` for dictionaries of several models.
 */
export async function withExport<T>(
  db: Database,
  named: { ref: string; version?: string }[],
  work: (source: ExportedSource, client: PoolClient) => Promise<T>,
): Promise<T> {
  const found: Awaited<ReturnType<typeof locateVersion>>[] = [];
  for (const { ref, version } of named) found.push(await locateVersion(db, ref, version));
  const [first] = found;
  if (!first) throw new FacetError("invalid_request", "No dictionary was named.");
  const { model } = first.dictionary;
  const other = found.find(({ dictionary }) => dictionary.model.id !== model.id || dictionary.model.sha256 !== model.sha256);
  if (other) {
    throw new FacetError(
      "invalid_request",
      `${first.dictionary.ref} and ${other.dictionary.ref} are of two models, and a bundle is of one.`,
      {
        fix: "Export each model's dictionaries by themselves.",
      },
    );
  }
  const twice = found.find(({ dictionary }, i) => found.findIndex((one) => one.dictionary.ref === dictionary.ref) !== i);
  if (twice) {
    throw new FacetError("invalid_request", `${twice.dictionary.ref} is named twice, and an export holds each dictionary once.`, {
      fix: "Export each version by itself, as <model>/<dictionary>@<first digits of its hash>.",
    });
  }
  const ids = found.map(({ id }) => id);
  return db.transaction(async (client) => {
    await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    const { rows } = await client.query<SourceEntryRow>(
      `SELECT id, model_id, explained_variance, fvu, l0, dead_share, loss_recovered, images, image_tokens::float8 AS image_tokens,
         text_tokens::float8 AS text_tokens, content_sha256, added_contents FROM dictionary WHERE id = ANY($1::int[])`,
      [ids],
    );
    await stageMedia(client, ids, rows[0]?.model_id ?? 0);
    const dictionaries: SourceDictionary[] = [];
    for (const { id, dictionary } of found) {
      const row = rows.find((one) => one.id === id);
      if (!row) throw new FacetError("dictionary_not_found", `${dictionary.ref} was dropped meanwhile.`);
      dictionaries.push({
        entry: entryOf(dictionary, row),
        content: contentOf(row),
        tables: await readTables(client, id, dictionary.numLatents),
      });
    }
    const source: ExportedSource = {
      ids,
      format: "facet-bundle/1",
      found: [],
      model: { id: model.id, name: model.name, sha256: model.sha256, image_size: model.imageSize, grid: model.grid },
      attribution: [...new Set(found.flatMap(({ dictionary }) => dictionary.attribution ?? []))].join(" ") || null,
      images: await imagesOf(client, db.imagesDir),
      texts: await textsOf(client),
      dictionaries,
      async verify() {},
    };
    return work(source, client);
  });
}

type SourceEntryRow = SourceEntry["metrics"] & {
  id: number;
  model_id: number;
  images: number;
  image_tokens: number | null;
  text_tokens: number | null;
  content_sha256: string;
  added_contents: string[];
};

/** Of all that the dictionary was made from, what was added to it later included. */
function contentOf({ content_sha256, added_contents }: SourceEntryRow): string {
  if (added_contents.length === 0) return content_sha256;
  return createHash("sha256")
    .update([content_sha256, ...added_contents].join())
    .digest("hex");
}

function entryOf(dictionary: Dictionary, row: SourceEntryRow): SourceEntry {
  const { explained_variance, fvu, l0, dead_share, loss_recovered } = row;
  return {
    id: dictionary.id,
    hook: dictionary.hook,
    layer: dictionary.layer,
    sha256: dictionary.sha256,
    num_latents: dictionary.numLatents,
    width: dictionary.width,
    activation: dictionary.activation,
    k: dictionary.k,
    metrics: { explained_variance, fvu, l0, dead_share, loss_recovered },
    images: row.images,
    image_tokens: row.image_tokens,
    text_tokens: row.text_tokens,
  };
}
