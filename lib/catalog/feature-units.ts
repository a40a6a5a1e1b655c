/** What an engine's callers need to know of a dictionary's features: each one's own maximum, and names for those that fire on a picture. */
import { FacetError } from "@/lib/core/errors";
import type { AnalysedFeature, Concept } from "@/lib/core/records";
import type { Queryable } from "./db";

export interface FeatureUnits {
  /** SHA-256 of the dictionary's weights. */
  sha256: string;
  /** Largest activation over the catalogue by feature index; 0 where it never fired. */
  maxima: Float32Array;
}

interface DictionaryRow {
  id: number;
  sha256: string;
  num_latents: number;
}

/** The version whose hash begins with `version`, else the latest. Throws `dictionary_not_found` or `version_mismatch`. */
async function dictionaryRow(db: Queryable, ref: string, version: string | undefined): Promise<DictionaryRow> {
  const rows = await db.rows<DictionaryRow>("SELECT id, sha256, num_latents FROM dictionary WHERE ref = $1 ORDER BY id DESC", [ref]);
  if (rows.length === 0) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref}".`);
  const row = version ? rows.find(({ sha256 }) => sha256.startsWith(version)) : rows[0];
  if (!row) throw new FacetError("version_mismatch", `The catalogue has ${ref}, but not its version ${version}.`);
  return row;
}

/** SHA-256 of the weights of the latest version. */
export async function dictionaryHash(db: Queryable, ref: string): Promise<string> {
  return (await dictionaryRow(db, ref, undefined)).sha256;
}

/** Every feature's maximum. */
export async function featureUnits(db: Queryable, ref: string, version?: string): Promise<FeatureUnits> {
  const { id, sha256, num_latents } = await dictionaryRow(db, ref, version);
  const rows = await db.rows<{ index: number; max_activation: number }>(
    "SELECT index, max_activation FROM feature WHERE dictionary_id = $1 AND max_activation > 0",
    [id],
  );
  const maxima = new Float32Array(num_latents);
  for (const { index, max_activation } of rows) maxima[index] = max_activation;
  return { sha256, maxima };
}

export type FeatureName = Omit<AnalysedFeature, "mean" | "peak" | "map">;

interface NameRow {
  index: number;
  label: string | null;
  concept: Concept | null;
  density: number | null;
  always_on: boolean;
  sink: boolean;
  max_activation: number | null;
}

/** Label and bearing of some features of the dictionary's latest version, by index; features that the catalogue lacks are absent. */
export async function featureNames(db: Queryable, ref: string, indices: number[]): Promise<Map<number, FeatureName>> {
  const { id } = await dictionaryRow(db, ref, undefined);
  const rows = await db.rows<NameRow>(
    `SELECT index, label, concept, density, always_on, sink, max_activation
     FROM feature WHERE dictionary_id = $1 AND index = ANY($2::integer[])`,
    [id, indices],
  );
  return new Map(
    rows.map(({ index, label, concept, density, always_on, sink, max_activation }) => [
      index,
      { index, label, concept, density, alwaysOn: always_on, sink, maxActivation: max_activation },
    ]),
  );
}
