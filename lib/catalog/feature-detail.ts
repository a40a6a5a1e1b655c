/** Everything that the catalogue knows of one feature. */
import { FacetError } from "@/lib/core/errors";
import {
  type Band,
  bands,
  type Concept,
  type Explanation,
  type FeatureDetail,
  type ImageExample,
  type Neighbour,
  type Score,
  type TextExample,
} from "@/lib/core/records";
import type { Database, Queryable } from "./db";
import { type FoundDictionary, locateDictionary } from "./dictionaries";
import { type CardRow, cardColumns, type MapRow, mapColumns, toCard, toImageExample, toMap } from "./row-types";

type FeatureRow = CardRow & { mean_activation: number | null; active_tokens: number | null };

async function readExplanations(db: Queryable, id: number, index: number): Promise<Explanation[]> {
  const rows = await db.rows<Omit<Explanation, "scores" | "createdAt" | "concept"> & { concept: string | null; created_at: Date }>(
    `SELECT id, method, author, text, label, concept, failure, prompt, created_at, preferred FROM explanation
     WHERE dictionary_id = $1 AND index = $2 ORDER BY preferred DESC, text IS NULL, id`,
    [id, index],
  );
  const scores = await db.rows<Score & { explanation_id: number }>(
    `SELECT s.explanation_id, s.metric, s.value, s.baseline, s.n, s.failure, s.method FROM score s
     WHERE s.dictionary_id = $1 AND s.explanation_id = ANY($2::int[]) ORDER BY s.metric`,
    [id, rows.map((row) => row.id)],
  );
  return rows.map(({ created_at, concept, ...row }) => ({
    ...row,
    concept: concept as Concept | null,
    createdAt: created_at.toISOString(),
    scores: scores.filter((score) => score.explanation_id === row.id).map(({ explanation_id, ...score }) => score),
  }));
}

async function readExamples(db: Queryable, id: number, index: number): Promise<Record<Band, ImageExample[]>> {
  const rows = await db.rows<MapRow & { band: Band; sha256: string }>(
    `SELECT a.band, i.sha256, ${mapColumns} FROM activation a JOIN image i ON i.id = a.image_id
     WHERE a.dictionary_id = $1 AND a.index = $2 AND a.band <> 'text' ORDER BY a.band, a.rank`,
    [id, index],
  );
  const examples = Object.fromEntries(bands.map((band): [Band, ImageExample[]] => [band, []])) as Record<Band, ImageExample[]>;
  for (const row of rows) examples[row.band].push(toImageExample(row));
  return examples;
}

async function readTexts(db: Queryable, id: number, index: number): Promise<TextExample[]> {
  const rows = await db.rows<MapRow & { tokens: string[]; sha256: string | null }>(
    `SELECT t.tokens, i.sha256, ${mapColumns} FROM activation a JOIN text_sequence t ON t.id = a.text_id LEFT JOIN image i ON i.id = t.image_id
     WHERE a.dictionary_id = $1 AND a.index = $2 AND a.band = 'text' ORDER BY a.rank`,
    [id, index],
  );
  return rows.map((row) => ({ tokens: row.tokens, image: row.sha256, peak: row.peak, map: toMap(row) }));
}

/** In two questions: joined in one, the database expects millions of rows and sends for parallel workers, which takes longer than the answer. */
async function readNeighbours(db: Queryable, id: number, index: number): Promise<Neighbour[]> {
  const lists = await db.rows<{ kind: Neighbour["kind"]; neighbours: number[]; neighbour_values: number[] }>(
    `SELECT kind, neighbours, neighbour_values FROM neighbour
     WHERE dictionary_id = $1 AND index = $2 AND kind IN ('decoder', 'coactive') ORDER BY kind DESC`,
    [id, index],
  );
  if (lists.length === 0) return [];
  const rows = await db.rows<Partial<MapRow> & { index: number; label: string | null; sha256: string | null }>(
    `SELECT f.index, f.label, i.sha256, ${mapColumns} FROM feature f
     LEFT JOIN activation a ON a.dictionary_id = $1 AND a.index = f.index AND a.band = 'top' AND a.rank = 0
     LEFT JOIN image i ON i.id = a.image_id
     WHERE f.dictionary_id = $1 AND f.index = ANY($2::int[])`,
    [id, [...new Set(lists.flatMap((list) => list.neighbours))]],
  );
  const byIndex = new Map(rows.map((row) => [row.index, row]));
  return lists.flatMap(({ kind, neighbours, neighbour_values }) =>
    neighbours.flatMap((neighbour, place) => {
      const row = byIndex.get(neighbour);
      if (!row) return [];
      const top = row.sha256 === null ? null : toImageExample(row as MapRow & { sha256: string });
      return [{ kind, index: neighbour, label: row.label, value: neighbour_values[place] as number, top }];
    }),
  );
}

async function readTokens(db: Queryable, id: number, index: number): Promise<FeatureDetail["tokens"]> {
  const rows = await db.rows<{ kind: string; tokens: string[]; token_values: number[] }>(
    "SELECT kind, tokens, token_values FROM feature_token WHERE dictionary_id = $1 AND index = $2",
    [id, index],
  );
  const of = (kind: string) => {
    const row = rows.find((one) => one.kind === kind);
    return (row?.tokens ?? []).map((token, i) => ({ token, value: row?.token_values[i] ?? 0 }));
  };
  return { writes: of("writes"), suppresses: of("suppresses"), reads: of("reads") };
}

async function readHistogram(db: Queryable, id: number, index: number, max: number | null): Promise<FeatureDetail["histogram"]> {
  const rows = await db.rows<{ counts: number[] }>(
    "SELECT to_jsonb(counts) AS counts FROM histogram WHERE dictionary_id = $1 AND index = $2",
    [id, index],
  );
  const counts = rows[0]?.counts;
  if (!counts || !max) return null;
  return { edges: Array.from({ length: counts.length + 1 }, (_, i) => (i * max) / counts.length), counts };
}

/**
 * One feature of a dictionary's latest version, or of the version that `version` (12 hexadecimal digits) names. Throws
 * `dictionary_not_found`, `version_mismatch` and `feature_not_found`.
 */
export async function findFeature(db: Database, ref: string, index: number, version?: string): Promise<FeatureDetail> {
  return featureDetail(db, await locateDictionary(db, ref, version), index);
}

/** As `findFeature`, of a dictionary that was looked up already. */
export async function featureDetail(db: Database, { id, dictionary }: FoundDictionary, index: number): Promise<FeatureDetail> {
  const inRange = Number.isInteger(index) && index >= 0 && index < dictionary.numLatents;
  const row = inRange
    ? (
        await db.rows<FeatureRow>(
          `SELECT ${cardColumns}, f.mean_activation, f.active_tokens::float8 AS active_tokens FROM feature f WHERE f.dictionary_id = $1 AND f.index = $2`,
          [id, index],
        )
      )[0]
    : undefined;
  if (!row) {
    throw new FacetError(
      "feature_not_found",
      `${dictionary.ref} has the features 0 to ${dictionary.numLatents - 1}; there is no ${index}.`,
    );
  }
  const [examples, explanations, histogram, texts, neighbours, tokens] = await Promise.all([
    readExamples(db, id, index),
    readExplanations(db, id, index),
    readHistogram(db, id, index, row.max_activation),
    readTexts(db, id, index),
    readNeighbours(db, id, index),
    readTokens(db, id, index),
  ]);
  const { match, text, ...card } = toCard(row);
  const { examples: _, ...described } = dictionary;
  return {
    dictionary: described,
    feature: { ...card, top: examples.top.slice(0, 5) },
    meanActivation: row.mean_activation,
    activeTokens: row.active_tokens,
    explanations,
    histogram,
    examples,
    texts,
    neighbours,
    tokens,
  };
}
