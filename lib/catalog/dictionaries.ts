/** Which dictionaries the catalogue holds, and one of them by name and version. */
import { FacetError } from "@/lib/core/errors";
import { dictionaryRefSchema } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import type { Prisma } from "@/lib/generated/prisma/client";
import { catalogueErrors, type Database } from "./db";
import { isRunnable } from "./engine-files";
import { pickCards } from "./highlights";

/** What a dictionary's record is made of; its histograms are read by the filters only. */
const shape = { omit: { histograms: true }, include: { model: true } } satisfies Prisma.DictionaryDefaultArgs;
type DictionaryRow = Prisma.DictionaryGetPayload<typeof shape>;

async function toDictionary(row: DictionaryRow): Promise<Dictionary> {
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
    engine: (await isRunnable(row.ref, row.sha256)) ? "ready" : "none",
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
  rows.sort((a, b) => a.model.slug.localeCompare(b.model.slug) || a.layer - b.layer || a.name.localeCompare(b.name));
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
export async function locateDictionary(db: Database, ref: string, version?: string): Promise<FoundDictionary> {
  const prisma = await db.prisma();
  // An address may hold what no name can, and no database takes: a zero byte.
  const asked = dictionaryRefSchema.safeParse(ref).success;
  const rows = asked ? await catalogueErrors(db, prisma.dictionary.findMany({ ...shape, where: { ref }, orderBy: latestFirst })) : [];
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
export async function findDictionary(db: Database, ref: string, version?: string): Promise<Dictionary> {
  const { id, dictionary } = await locateDictionary(db, ref, version);
  return { ...dictionary, examples: await pickCards(db, id, 5) };
}
