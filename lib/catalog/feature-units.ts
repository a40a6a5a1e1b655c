/** What an engine's callers need to know of a dictionary's features: each one's own maximum, and names for those that fire on a picture. */
import type { Database } from "./db";
import { locateDictionary, locateWeights } from "./dictionaries";
import { type FeatureName, type NameRow, nameColumns, toFeatureName } from "./row-types";

export interface FeatureUnits {
  /** SHA-256 of the dictionary's weights. */
  sha256: string;
  /** Largest activation over the catalogue by feature index; 0 where it never fired. */
  maxima: Float32Array;
}

/** SHA-256 of the weights of the latest version. Throws `dictionary_not_found`. */
export async function dictionaryHash(db: Database, ref: string): Promise<string> {
  return (await locateDictionary(db, ref)).dictionary.sha256;
}

/**
 * Every feature's maximum, in the latest version or the latest with the weights whose hash begins with `weights`. Throws
 * `dictionary_not_found` and `version_mismatch`.
 */
export async function featureUnits(db: Database, ref: string, weights?: string): Promise<FeatureUnits> {
  const { id, dictionary } = await locateWeights(db, ref, weights);
  const rows = await db.rows<{ index: number; max_activation: number }>(
    "SELECT index, max_activation FROM feature WHERE dictionary_id = $1 AND max_activation > 0",
    [id],
  );
  const maxima = new Float32Array(dictionary.numLatents);
  for (const { index, max_activation } of rows) maxima[index] = max_activation;
  return { sha256: dictionary.sha256, maxima };
}

/**
 * Label and bearing of some features of the dictionary's latest version, by index; features that the catalogue lacks are absent. Throws
 * `dictionary_not_found`.
 */
export async function featureNames(db: Database, ref: string, indices: number[]): Promise<Map<number, FeatureName>> {
  const { id } = await locateDictionary(db, ref);
  const rows = await db.rows<NameRow>(`SELECT ${nameColumns} FROM feature f WHERE f.dictionary_id = $1 AND f.index = ANY($2::integer[])`, [
    id,
    indices,
  ]);
  return new Map(rows.map((row) => [row.index, toFeatureName(row)]));
}

/** Label and bearing of all features of the dictionary's latest version, by index. Throws `dictionary_not_found`. */
export async function allFeatureNames(db: Database, ref: string): Promise<{ sha256: string; items: FeatureName[] }> {
  const { id, dictionary } = await locateDictionary(db, ref);
  const rows = await db.rows<NameRow>(`SELECT ${nameColumns} FROM feature f WHERE f.dictionary_id = $1 ORDER BY f.index`, [id]);
  return { sha256: dictionary.sha256, items: rows.map(toFeatureName) };
}
