/** What a search finds by meaning, and whether it could. */
import type { Queryable } from "@/lib/catalog/db";
import type { FeatureFilter } from "@/lib/catalog/feature-list";
import { type NearVector, nearestVectors, storedVectors } from "@/lib/catalog/search-vectors";
import type { Meaning } from "@/lib/core/records";
import { log } from "@/lib/log";
import type { Embedder } from "./embedder";
import { getEmbedder } from "./open-embedder";
import type { ParsedSearch } from "./parse";

/** Features that one search brings by meaning alone, at most. */
export const mostNear = 100;
/**
 * The least cosine that counts as a similar meaning: .5 for a question of one word, whose cosines to other single words are high whatever they
 * mean ("money" to television .50), .43 for one of several. Measured on the demo's labels with 62 judged questions (bench/meaning.ts,
 * docs/performance.md): at .4 three in ten of what single words brought was to the point, at .5 seven in ten.
 */
export const leastSimilarity = (question: string) => (question.trim().split(/\s+/).length === 1 ? 0.5 : 0.43);

/** Vectors of the last questions: a list asks the same one for each page. */
const questions = new Map<string, Promise<Float32Array>>();
const mostQuestions = 200;

function vectorOf(embedder: Embedder, text: string): Promise<Float32Array> {
  const key = `${embedder.id}\n${text}`;
  const known = questions.get(key);
  if (known) return known;
  const made = embedder.embed([text]).then(([vector]) => vector as Float32Array);
  made.catch(() => questions.delete(key));
  if (questions.size >= mostQuestions) questions.delete(questions.keys().next().value as string);
  questions.set(key, made);
  return made;
}

export interface MeaningSearch {
  meaning: Meaning;
  /** The nearest features that pass, nearest first; empty where there is no search by meaning. */
  near(filter: FeatureFilter): Promise<NearVector[]>;
}

const none = async () => [];

/** Null for a search that asks for nothing by meaning: a key, quoted phrases, exclusions. */
export async function searchMeaning(
  db: Queryable,
  dictionaryId: number,
  parsed: ParsedSearch,
  given?: Embedder | null,
): Promise<MeaningSearch | null> {
  const text = parsed.meaning;
  if (text === null) return null;
  const vectors = await storedVectors(db, dictionaryId);
  let embedder: Embedder | null;
  try {
    embedder = given === undefined ? await getEmbedder() : given;
  } catch (error) {
    log.warn({ error: error instanceof Error ? error.message : String(error) }, "The embedder could not be opened.");
    return { meaning: { state: "unavailable", stored: vectors.embedder, here: null }, near: none };
  }
  const names = { stored: vectors.embedder, here: embedder?.id ?? null };
  if (!embedder) return { meaning: { state: "no_embedder", ...names }, near: none };
  if (vectors.embedder === null) return { meaning: { state: "no_vectors", ...names }, near: none };
  if (vectors.embedder !== embedder.id) return { meaning: { state: "other_embedder", ...names }, near: none };
  if (vectors.rows === 0 || !embedder.reads(text)) return { meaning: { state: "not_read", ...names }, near: none };
  let question: Float32Array;
  try {
    question = await vectorOf(embedder, text);
    if (question.length !== vectors.size)
      throw new Error(`The embedder gave ${question.length} numbers; the stored vectors have ${vectors.size}.`);
  } catch (error) {
    log.warn({ error: error instanceof Error ? error.message : String(error) }, "A search went without meaning.");
    return { meaning: { state: "unavailable", ...names }, near: none };
  }
  return {
    meaning: { state: "used", ...names },
    near: (filter) => nearestVectors(db, dictionaryId, vectors, question, filter, { limit: mostNear, least: leastSimilarity(text) }),
  };
}
