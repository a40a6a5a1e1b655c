/** Which dictionaries the catalogue holds, and one of them by name and version. */
import { FacetError } from "@/lib/core/errors";
import { dictionaryRefSchema } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import type { Prisma } from "@/lib/generated/prisma/client";
import { catalogueErrors, type Database } from "./db";
import { engineState } from "./engine-state";
import { pickCards } from "./highlights";
import { rowsOfVersion } from "./versions";

/** What a dictionary's record is made of; its histograms are read by the filters only. */
const shape = { omit: { histograms: true }, include: { model: true } } satisfies Prisma.DictionaryDefaultArgs;
type DictionaryRow = Prisma.DictionaryGetPayload<typeof shape>;

async function toDictionary(row: DictionaryRow, versions: string[]): Promise<Dictionary> {
  return {
    ref: row.ref,
    model: {
      id: row.model.slug,
      name: row.model.name,
      sha256: row.model.sha256,
      imageSize: row.model.imageSize,
      grid: row.model.gridRows === null || row.model.gridCols === null ? null : { rows: row.model.gridRows, cols: row.model.gridCols },
    },
    id: row.name,
    hook: row.hook,
    layer: row.layer,
    sha256: row.sha256,
    version: row.version,
    versions,
    numLatents: row.numLatents,
    width: row.width,
    activation: row.activation,
    k: row.k,
    metrics: {
      explainedVariance: row.explainedVariance,
      fvu: row.fvu,
      l0: row.l0,
      deadShare: row.deadShare,
      lossRecovered: row.lossRecovered,
    },
    counts: { features: row.features, alive: row.alive, explained: row.explained, scored: row.scored, images: row.images },
    engine: await engineState(row.ref, row.sha256),
    examples: [],
    importedAt: row.importedAt.toISOString(),
    attribution: row.attribution,
  };
}

/** The latest version first: the one that was last added, whatever was replaced since. */
const latestFirst = [{ importedAt: "desc" }, { id: "desc" }] satisfies Prisma.DictionaryOrderByWithRelationInput[];

/** Every dictionary in its latest version, by model and layer, with a few features that look like something. */
export async function listDictionaries(db: Database): Promise<Dictionary[]> {
  const prisma = await db.prisma();
  const rows = await catalogueErrors(
    db,
    prisma.dictionary.findMany({ ...shape, distinct: ["ref"], orderBy: [{ ref: "asc" }, ...latestFirst] }),
  );
  const all = await catalogueErrors(db, prisma.dictionary.findMany({ select: { ref: true, version: true }, orderBy: latestFirst }));
  const versions = new Map<string, string[]>();
  for (const { ref, version } of all) versions.set(ref, [...(versions.get(ref) ?? []), version]);
  rows.sort((a, b) => a.model.slug.localeCompare(b.model.slug) || a.layer - b.layer || a.name.localeCompare(b.name));
  const dictionaries: Dictionary[] = [];
  for (const row of rows) {
    const dictionary = await toDictionary(row, versions.get(row.ref) ?? [row.version]);
    dictionaries.push({ ...dictionary, examples: await pickCards(db, row.id, 5) });
  }
  return dictionaries;
}

export interface FoundDictionary {
  /** The database's own number. */
  id: number;
  dictionary: Dictionary;
}

/** Every version under a name, the latest first. Throws `dictionary_not_found`. */
async function versionsOf(db: Database, ref: string): Promise<DictionaryRow[]> {
  const prisma = await db.prisma();
  // An address may hold what no name can, and no database takes: a zero byte.
  const asked = dictionaryRefSchema.safeParse(ref).success;
  const rows = asked ? await catalogueErrors(db, prisma.dictionary.findMany({ ...shape, where: { ref }, orderBy: latestFirst })) : [];
  if (!rows[0]) throw new FacetError("dictionary_not_found", `The catalogue has no dictionary "${ref.slice(0, 200)}".`);
  return rows;
}

async function found(rows: DictionaryRow[], row: DictionaryRow | undefined, version: string | undefined): Promise<FoundDictionary> {
  const versions = rows.map((one) => one.version);
  if (row) return { id: row.id, dictionary: await toDictionary(row, versions) };
  throw new FacetError(
    "version_mismatch",
    `This link names version ${version?.slice(0, 12)} of ${rows[0]?.ref}; the catalogue has ${versions.map((one) => one.slice(0, 12)).join(", ")}.`,
  );
}

/**
 * A dictionary by `<model>/<dictionary>`: the latest version, or the one whose key begins with `version` (12 hexadecimal digits); the
 * weights' hash names the latest with these weights where no version is called so. `examples` is empty. Throws `dictionary_not_found`;
 * `version_mismatch` when there is no such version.
 */
export async function locateDictionary(db: Database, ref: string, version?: string): Promise<FoundDictionary> {
  const rows = await versionsOf(db, ref);
  return found(rows, version === undefined ? rows[0] : rowsOfVersion(rows, version)[0], version);
}

/**
 * As `locateDictionary`, for one who means this version and nothing near it, as a command that writes: by its own key alone. Throws
 * `version_mismatch` also where a link would open other content of the same weights.
 */
export async function locateVersion(db: Database, ref: string, version?: string): Promise<FoundDictionary> {
  const rows = await versionsOf(db, ref);
  const row = version === undefined ? rows[0] : rows.find((one) => one.version.startsWith(version));
  if (row) return found(rows, row, version);
  const there = rows.map((one) => one.version.slice(0, 12)).join(", ");
  throw new FacetError("version_mismatch", `${ref} has no version ${version}; it has ${there}.`, { fix: "Name one of them." });
}

/**
 * As `locateDictionary`, for one who asks for weights, as requests to an engine do: of several contents of the weights whose hash begins
 * with `weights` the latest, which is the one that pages show.
 */
export async function locateWeights(db: Database, ref: string, weights?: string): Promise<FoundDictionary> {
  const rows = await versionsOf(db, ref);
  return found(rows, weights === undefined ? rows[0] : rows.find((row) => row.sha256.startsWith(weights)), weights);
}

/** As `locateDictionary`, with the examples. */
export async function findDictionary(db: Database, ref: string, version?: string): Promise<Dictionary> {
  const { id, dictionary } = await locateDictionary(db, ref, version);
  return { ...dictionary, examples: await pickCards(db, id, 5) };
}
