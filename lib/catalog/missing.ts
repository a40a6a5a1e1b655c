/** What a page's address names and the catalogue lacks: asked before the page is made, while its status can still be chosen. */
import { experimentIdSchema } from "@/lib/core/experiment";
import type { Missing } from "@/lib/core/missing";
import { dictionaryRefSchema, sha256Schema } from "@/lib/core/protocol";
import type { Queryable } from "./db";

function segmentsOf(pathname: string): string[] {
  try {
    return pathname.split("/").slice(1).map(decodeURIComponent);
  } catch {
    // No page has such an address.
    return [];
  }
}

/** Whatever the address lacks first; null where all is there, or where it names nothing of the catalogue. */
export async function missingAt(db: Queryable, pathname: string): Promise<Missing | null> {
  const segments = segmentsOf(pathname);
  const [page, first = "", second = "", index, ...more] = segments[0] === "embed" ? segments.slice(1) : segments;
  if (more.length) return null;
  if (page === "x" && first && !second) return missingExperiment(db, first);
  if (page === "i" && first && !second) return missingImage(db, first);
  if (page === "d" && first && second) return missingFeature(db, `${first}/${second}`, index);
  return null;
}

async function missingImage(db: Queryable, sha256: string): Promise<Missing | null> {
  const found = "SELECT FROM image WHERE sha256 = $1 UNION ALL SELECT FROM experiment_picture WHERE sha256 = $1";
  const known = sha256Schema.safeParse(sha256).success && (await db.rows(found, [sha256])).length > 0;
  return known ? null : { kind: "image", sha256 };
}

async function missingExperiment(db: Queryable, id: string): Promise<Missing | null> {
  const known = experimentIdSchema.safeParse(id).success && (await db.rows("SELECT FROM experiment WHERE id = $1::text", [id])).length > 0;
  return known ? null : { kind: "experiment", id };
}

async function missingFeature(db: Queryable, ref: string, index: string | undefined): Promise<Missing | null> {
  // An address may hold what no name can, and no database takes: a zero byte.
  if (!dictionaryRefSchema.safeParse(ref).success) return { kind: "dictionary", ref };
  // Of a dictionary's versions, which may differ in size, the page itself chooses.
  const [found] = await db.rows<{ latents: number | null }>("SELECT max(num_latents) AS latents FROM dictionary WHERE ref = $1", [ref]);
  if (!found?.latents) return { kind: "dictionary", ref };
  const known = index === undefined || (/^\d{1,9}$/.test(index) && Number(index) < found.latents);
  return known ? null : { kind: "feature", ref, index };
}
