/** Which dictionaries the catalogue holds, and one of them by name and version. */
import { FacetError } from "@/lib/core/errors";
import type { Dictionary } from "@/lib/core/records";
import type { Queryable } from "./db";
import { runnableDictionaries } from "./engine-files";
import { pickCards } from "./highlights";

interface DictionaryRow {
  id: number;
  ref: string;
  name: string;
  sha256: string;
  hook: string;
  layer: number;
  num_latents: number;
  width: number;
  activation: string;
  k: number | null;
  explained_variance: number | null;
  fvu: number | null;
  l0: number | null;
  dead_share: number | null;
  loss_recovered: number | null;
  images: number;
  features: number;
  alive: number;
  explained: number;
  scored: number;
  attribution: string | null;
  imported_at: Date;
  slug: string;
  model_name: string;
  model_sha256: string;
  image_size: number | null;
  grid_rows: number;
  grid_cols: number;
}

const select = `SELECT d.id, d.ref, d.name, d.sha256, d.hook, d.layer, d.num_latents, d.width, d.activation, d.k, d.explained_variance, d.fvu, d.l0,
  d.dead_share, d.loss_recovered, d.images, d.features, d.alive, d.explained, d.scored, d.attribution, d.imported_at,
  m.slug, m.name AS model_name, m.sha256 AS model_sha256, m.image_size, m.grid_rows, m.grid_cols
  FROM dictionary d JOIN model m ON m.id = d.model_id`;

async function toDictionary(row: DictionaryRow): Promise<Dictionary> {
  const runnable = await runnableDictionaries();
  return {
    ref: row.ref,
    model: {
      id: row.slug,
      name: row.model_name,
      sha256: row.model_sha256,
      imageSize: row.image_size,
      grid: { rows: row.grid_rows, cols: row.grid_cols },
    },
    id: row.name,
    hook: row.hook,
    layer: row.layer,
    sha256: row.sha256,
    numLatents: row.num_latents,
    width: row.width,
    activation: row.activation,
    k: row.k,
    metrics: {
      explainedVariance: row.explained_variance,
      fvu: row.fvu,
      l0: row.l0,
      deadShare: row.dead_share,
      lossRecovered: row.loss_recovered,
    },
    counts: { features: row.features, alive: row.alive, explained: row.explained, scored: row.scored, images: row.images },
    engine: runnable.has(row.sha256) ? "ready" : "none",
    examples: [],
    importedAt: row.imported_at.toISOString(),
    attribution: row.attribution,
  };
}

/** Every dictionary in its latest version, by model and layer, with a few features that look like something. */
export async function listDictionaries(db: Queryable): Promise<Dictionary[]> {
  const rows = await db.rows<DictionaryRow>(
    `${select} WHERE NOT EXISTS (SELECT FROM dictionary newer WHERE newer.ref = d.ref AND newer.id > d.id) ORDER BY m.slug, d.layer, d.name`,
  );
  const dictionaries: Dictionary[] = [];
  for (const row of rows) dictionaries.push({ ...(await toDictionary(row)), examples: await pickCards(db, row.id, 5) });
  return dictionaries;
}

export interface FoundDictionary {
  /** The database's own number. */
  id: number;
  dictionary: Dictionary;
}

/**
 * A dictionary by `<model>/<dictionary>`: the latest version, or the one whose hash begins with `version` (12 hexadecimal digits).
 * `examples` is empty. Throws `dictionary_not_found`; `version_mismatch` when there is no such version.
 */
export async function locateDictionary(db: Queryable, ref: string, version?: string): Promise<FoundDictionary> {
  const rows = await db.rows<DictionaryRow>(`${select} WHERE d.ref = $1 ORDER BY d.id DESC`, [ref]);
  if (!rows[0]) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref.slice(0, 200)}".`);
  const row = version === undefined ? rows[0] : rows.find((one) => one.sha256.startsWith(version));
  if (!row) {
    throw new FacetError(
      "version_mismatch",
      `This link names version ${version?.slice(0, 12)} of ${ref}; the catalogue has ${rows.map((one) => one.sha256.slice(0, 12)).join(", ")}.`,
    );
  }
  return { id: row.id, dictionary: await toDictionary(row) };
}

/** As `locateDictionary`, with the examples. */
export async function findDictionary(db: Queryable, ref: string, version?: string): Promise<Dictionary> {
  const { id, dictionary } = await locateDictionary(db, ref, version);
  return { ...dictionary, examples: await pickCards(db, id, 5) };
}
