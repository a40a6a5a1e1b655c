/** What keeps a page from being shown, found out by proxy.ts while the answer's status can still be chosen. */
import { parseListUrl } from "@/components/search/list-url";
import { type Database, getDatabase } from "@/lib/catalog/db";
import { missingAt } from "@/lib/catalog/missing";
import { asFacetError } from "@/lib/core/errors";
import type { Missing } from "@/lib/core/missing";
import { refOf } from "@/lib/core/routes";
import { log } from "@/lib/log";
import { listFeatures } from "@/lib/search/list-features";
import { usualSortOf } from "./usual-sort-of";

/** Addresses of pages that read the catalogue. */
const reading = /^\/($|(steer|trace|try|x)$|(embed\/)?[dix]\/)/;

/** The dictionary whose list an address shows. */
function listOf(pathname: string): string | null {
  const [page, model, dictionary, ...more] = pathname.split("/").slice(1);
  return page === "d" && model && dictionary && !more.some(Boolean) ? refOf({ model, dictionary }) : null;
}

/** Every value of every key, as pages get them. */
function valuesOf(search: URLSearchParams): Record<string, string | string[]> {
  const values: Record<string, string | string[]> = {};
  for (const key of new Set(search.keys())) {
    // Next.js adds its own to the address that a navigation asks for.
    if (key === "_rsc") continue;
    const all = search.getAll(key);
    values[key] = all[1] === undefined ? (all[0] ?? "") : all;
  }
  return values;
}

/** Throws what the list's page would: for a query that is not one, and for a cursor that is not of this list, which only the list itself knows. */
async function tryList(db: Database, ref: string, search: URLSearchParams): Promise<void> {
  const values = valuesOf(search);
  const { query } = parseListUrl(ref, values);
  if (query.cursor === null) return;
  await listFeatures(db, { ...parseListUrl(ref, values, await usualSortOf(db, ref, query.version)).query, limit: 1 });
}

/** Null where the page can be shown. */
export async function obstacleTo({ pathname, searchParams }: URL): Promise<Missing | null> {
  if (!reading.test(pathname)) return null;
  const ref = listOf(pathname);
  try {
    const db = await getDatabase();
    const one = (key: string) => searchParams.get(key) || undefined;
    const missing = await missingAt(db, pathname, { v: one("v"), dictionary: one("dictionary") });
    if (missing) return missing;
    if (ref) await tryList(db, ref, searchParams);
    // Such a page names nothing of it, but reads it.
    if (!/[dix]\//.test(pathname)) await db.rows("SELECT FROM dictionary LIMIT 1");
    return null;
  } catch (thrown) {
    const error = asFacetError(thrown);
    if (error.status >= 500) log.error({ code: error.code, path: pathname, err: error.cause ?? error }, error.message);
    const wrongAddress = error.code === "invalid_request" || error.code === "unknown_query_key";
    return { kind: "error", error: error.toJSON(), ref: wrongAddress && ref ? ref : undefined };
  }
}
