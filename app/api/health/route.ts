import type { Health } from "@/lib/api/health";
import { getDatabase } from "@/lib/catalog/db";
import { answer, getOnly, json, noQuery, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** Whether the server and its catalogue answer. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const db = await getDatabase();
    const rows = await db.rows<{ dictionaries: number }>("SELECT count(*)::int AS dictionaries FROM dictionary");
    const health: Health = { status: "ok", catalogue: db.kind, dictionaries: rows[0]?.dictionaries ?? 0 };
    return json(request, health, "never");
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
