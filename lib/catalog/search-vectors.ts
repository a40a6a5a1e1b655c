/** The vectors that search by meaning compares: written once for a dictionary, read nearest first, with filters before the limit. */
import type { PoolClient } from "pg";
import { floatToHalf } from "@/lib/core/sparse-map";
import type { Queryable } from "./db";
import { countRows, type FeatureFilter, Parameters } from "./feature-list";
import { partitionOf } from "./partitions";

/** Up to so many vectors are read whole, which is exact and as fast as an index. */
const scannedWhole = 8_192;
/** With an index, filters that leave at most this share of the rows are applied first and what is left is read whole. */
const selective = 0.1;

export interface StoredVectors {
  /** Who made them; null where none were made. */
  embedder: string | null;
  size: number;
  rows: number;
}

export async function storedVectors(db: Queryable, dictionaryId: number): Promise<StoredVectors> {
  const [row] = await db.rows<{ embedder: string | null; size: number | null; rows: number }>(
    "SELECT embedder, embedding_size AS size, embeddings AS rows FROM dictionary WHERE id = $1",
    [dictionaryId],
  );
  return { embedder: row?.embedder ?? null, size: row?.size ?? 0, rows: row?.rows ?? 0 };
}

/** Dictionaries whose vectors are not this embedder's, the oldest first. */
export function withoutVectorsOf(db: Queryable, embedder: string): Promise<{ id: number; ref: string }[]> {
  return db.rows("SELECT id, ref FROM dictionary WHERE embedder IS DISTINCT FROM $1 ORDER BY id", [embedder]);
}

export interface DocumentText {
  index: number;
  /** The label, which says it in few words; where there is none, the beginning of the explanation. */
  text: string;
}

/** The texts of a dictionary's features, in order of index, from after `after` on. */
export async function documentTexts(client: PoolClient, dictionaryId: number, after: number, limit: number): Promise<DocumentText[]> {
  const { rows } = await client.query<DocumentText>(
    `SELECT index, CASE WHEN label <> '' THEN left(label, 1000) ELSE left(body, 1000) END AS text FROM search_document
     WHERE dictionary_id = $1 AND index > $2 AND (label <> '' OR body <> '') ORDER BY index LIMIT $3`,
    [dictionaryId, after, limit],
  );
  return rows;
}

/** A halfvec as the database receives it: the number of values, two unused bytes, the values, all big-endian. */
function halfvecBytes(vector: Float32Array): Buffer {
  const bytes = Buffer.alloc(4 + 2 * vector.length);
  bytes.writeInt16BE(vector.length, 0);
  for (let i = 0; i < vector.length; i++) bytes.writeUInt16BE(floatToHalf(vector[i] as number), 4 + 2 * i);
  return bytes;
}

/** A one-dimensional array in the binary form: read many times faster than numbers written out. */
function binaryArray(type: number, elements: Buffer[]): Buffer {
  const head = Buffer.alloc(20);
  [1, 0, type, elements.length, 1].forEach((value, i) => {
    head.writeInt32BE(value, 4 * i);
  });
  const parts: Buffer[] = [head];
  for (const element of elements) {
    const length = Buffer.alloc(4);
    length.writeInt32BE(element.byteLength, 0);
    parts.push(length, element);
  }
  return Buffer.concat(parts);
}

export class VectorWriter {
  #size: number | null = null;
  #rows = 0;
  readonly #table: string;
  readonly #meanings: string;

  private constructor(
    private readonly client: PoolClient,
    private readonly dictionaryId: number,
    private readonly type: number,
  ) {
    this.#table = partitionOf("search_vector", dictionaryId);
    this.#meanings = partitionOf("search_meaning", dictionaryId);
  }

  /** On a connection that is in a transaction. The dictionary's earlier vectors go. */
  static async begin(client: PoolClient, dictionaryId: number): Promise<VectorWriter> {
    const { rows } = await client.query<{ type: number }>("SELECT 'halfvec'::regtype::oid::int AS type");
    const writer = new VectorWriter(client, dictionaryId, rows[0]?.type ?? 0);
    await client.query(`DROP INDEX IF EXISTS ${writer.#table}_nearest`);
    await client.query(`TRUNCATE ${writer.#table}, ${writer.#meanings}`);
    await client.query("CREATE TEMP TABLE staged_vector (index int, embedding halfvec) ON COMMIT DROP");
    return writer;
  }

  async write(indices: number[], vectors: Float32Array[]): Promise<void> {
    if (indices.length === 0) return;
    this.#size ??= (vectors[0] as Float32Array).length;
    await this.client.query("INSERT INTO staged_vector (index, embedding) SELECT * FROM unnest($1::int[], $2::halfvec[])", [
      indices,
      binaryArray(this.type, vectors.map(halfvecBytes)),
    ]);
    this.#rows += indices.length;
  }

  /** Builds the index, where one is needed, and says on the dictionary whose vectors these are. */
  async finish(embedder: string): Promise<void> {
    const distinct = await this.#share();
    if (distinct > scannedWhole && this.#size) {
      const type = indexedType(this.#size);
      if (type) {
        // Else the graph does not fit and is built on disk, many times slower.
        await this.client.query("SET LOCAL maintenance_work_mem = '512MB'");
        await this.client.query(
          `CREATE INDEX ${this.#table}_nearest ON ${this.#table} USING hnsw ((embedding::${type}(${this.#size})) ${type}_ip_ops)
           WITH (m = 16, ef_construction = 64)`,
        );
      }
    }
    await this.client.query("UPDATE dictionary SET embedder = $2, embedding_size = $3, embeddings = $4 WHERE id = $1", [
      this.dictionaryId,
      embedder,
      this.#size,
      this.#rows,
    ]);
    for (const table of [this.#table, this.#meanings]) await this.client.query(`ANALYZE ${table}`);
  }

  /** Each vector once, and whose it is. Answers with how many there are. */
  async #share(): Promise<number> {
    await this.client.query("ANALYZE staged_vector");
    await this.client.query(
      `INSERT INTO ${this.#meanings} (dictionary_id, index, vector)
       SELECT $1::int, index, min(index) OVER (PARTITION BY embedding) FROM staged_vector`,
      [this.dictionaryId],
    );
    const { rowCount } = await this.client.query(
      `INSERT INTO ${this.#table} (dictionary_id, index, embedding)
       SELECT $1::int, s.index, s.embedding FROM staged_vector s JOIN ${this.#meanings} m ON m.index = s.index AND m.vector = s.index`,
      [this.dictionaryId],
    );
    await this.client.query("DROP TABLE staged_vector");
    return rowCount ?? 0;
  }
}

/** What an index can hold of a vector's size: single precision is compared faster than half, which reaches further. */
const indexedType = (size: number) => (size <= 2_000 ? "vector" : size <= 4_000 ? "halfvec" : null);

export interface NearVector {
  index: number;
  /** Cosine to the question, -1..1. */
  similarity: number;
}

/**
 * The `limit` features of a dictionary nearest to `question` among those that pass, nearest first, with at least the similarity `least`.
 * Exact up to 8,192 vectors and where the filter leaves a tenth or less; else by the index, which goes on until enough pass.
 */
export async function nearestVectors(
  db: Queryable,
  dictionaryId: number,
  { size, rows }: StoredVectors,
  question: Float32Array,
  filter: FeatureFilter,
  { limit, least }: { limit: number; least: number },
): Promise<NearVector[]> {
  const parameters = new Parameters();
  parameters.values.push(...filter.parameters.values);
  const type = indexedType(size) ?? "halfvec";
  const vector = `${parameters.bind(`[${Array.from(question, (value) => value.toFixed(6)).join(",")}]`)}::${type}(${size})`;
  const whole =
    rows <= scannedWhole ||
    (filter.narrows && (await countRows(db, { ...filter, sql: `FROM feature f WHERE ${filter.sql}` })) <= selective * rows);
  const [vectors, meanings] = [partitionOf("search_vector", dictionaryId), partitionOf("search_meaning", dictionaryId)];
  const distance = `((v.embedding::${type}(${size})) <#> ${vector})`;
  const most = `${parameters.bind(limit)}::int`;
  const enough = `-distance >= ${parameters.bind(least)}::float8`;
  const passing = `${meanings} m JOIN feature f ON f.dictionary_id = m.dictionary_id AND f.index = m.index`;
  if (whole) {
    // Adding nothing keeps the planner from the index.
    return db.rows<NearVector>(
      `SELECT index, -distance AS similarity FROM (
         SELECT m.index, ${distance} AS distance FROM ${passing} JOIN ${vectors} v ON v.index = m.vector AND v.dictionary_id = m.dictionary_id
         WHERE ${filter.sql} ORDER BY ${distance} + 0, m.index LIMIT ${most}
       ) near WHERE ${enough} ORDER BY distance, index`,
      parameters.values,
    );
  }
  // The nearest vectors of which some feature passes, then their features that do, vector by vector until there are enough.
  const all = filter.only?.whole === true;
  const some = `WHERE EXISTS (SELECT FROM ${passing} WHERE m.vector = v.index AND ${filter.sql})`;
  const theirs = all ? `${meanings} m WHERE m.dictionary_id = $1` : `${passing} WHERE ${filter.sql}`;
  return db.rows<NearVector>(
    `WITH near AS MATERIALIZED (
       SELECT v.index AS vector, ${distance} AS distance FROM ${vectors} v ${all ? "" : some} ORDER BY ${distance} LIMIT ${most}
     )
     SELECT m.index, -near.distance AS similarity FROM (SELECT * FROM near WHERE ${enough} ORDER BY distance) near
     CROSS JOIN LATERAL (SELECT m.index FROM ${theirs} AND m.vector = near.vector ORDER BY m.index LIMIT ${most}) m
     ORDER BY near.distance, m.index LIMIT ${most}`,
    parameters.values,
  );
}
