/** What a page's address names and the catalogue lacks: asked before the page is made, while its status can still be chosen. */
import { experimentIdSchema } from "@/lib/core/experiment";
import type { Missing } from "@/lib/core/missing";
import { dictionaryRefSchema, sha256Schema } from "@/lib/core/protocol";
import type { Queryable } from "./db";
import { rowsOfVersion } from "./versions";

function segmentsOf(pathname: string): string[] {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    // No page has such an address.
    return [];
  }
}

/**
 * Whatever the address lacks first; null where all is there, or where it names nothing of the catalogue. `v`: the version that it pins;
 * `dictionary`: the one through which a picture, of the catalogue or of one's own, is looked at.
 */
export async function missingAt(
  db: Queryable,
  pathname: string,
  { v, dictionary }: { v?: string; dictionary?: string } = {},
): Promise<Missing | null> {
  const segments = segmentsOf(pathname);
  const [page, first = "", second = "", index, ...more] = segments[0] === "embed" ? segments.slice(1) : segments;
  if (more.length) return null;
  if (page === "x" && first && !second) return missingExperiment(db, first);
  if (page === "i" && first && !second) return missingImage(db, first, dictionary);
  if (page === "d" && first && second) return missingFeature(db, `${first}/${second}`, index, v);
  if (page === "try" && !first && dictionary)
    return (await versionsOf(db, dictionary)).length ? null : { kind: "dictionary", ref: dictionary };
  return null;
}

async function missingImage(db: Queryable, sha256: string, dictionary: string | undefined): Promise<Missing | null> {
  const found = "SELECT FROM image WHERE sha256 = $1 UNION ALL SELECT FROM experiment_picture WHERE sha256 = $1";
  const known = sha256Schema.safeParse(sha256).success && (await db.rows(found, [sha256])).length > 0;
  if (!known) return { kind: "image", sha256 };
  const through = dictionary ? await versionsOf(db, dictionary) : null;
  return dictionary && through?.length === 0 ? { kind: "dictionary", ref: dictionary, sha256 } : null;
}

async function missingExperiment(db: Queryable, id: string): Promise<Missing | null> {
  const known = experimentIdSchema.safeParse(id).success && (await db.rows("SELECT FROM experiment WHERE id = $1::text", [id])).length > 0;
  return known ? null : { kind: "experiment", id };
}

interface VersionOfRef {
  version: string;
  sha256: string;
  contentSha256: string;
  latents: number;
}

/** The latest first; none where there is no such dictionary. */
async function versionsOf(db: Queryable, ref: string): Promise<VersionOfRef[]> {
  // An address may hold what no name can, and no database takes: a zero byte.
  if (!dictionaryRefSchema.safeParse(ref).success) return [];
  return db.rows<VersionOfRef>(
    `SELECT version, sha256, content_sha256 AS "contentSha256", num_latents AS latents
     FROM dictionary WHERE ref = $1 ORDER BY imported_at DESC, id DESC`,
    [ref],
  );
}

async function missingFeature(db: Queryable, ref: string, index: string | undefined, v: string | undefined): Promise<Missing | null> {
  const all = await versionsOf(db, ref);
  if (all.length === 0) return { kind: "dictionary", ref };
  const [pinned] = v ? rowsOfVersion(all, v) : all;
  const plausible = index === undefined || /^\d{1,9}$/.test(index);
  if (!pinned && plausible) return { kind: "version", ref, index, asked: v ?? "", present: all.map(({ version }) => version) };
  return plausible && (index === undefined || Number(index) < (pinned?.latents ?? 0)) ? null : { kind: "feature", ref, index: index ?? "" };
}
