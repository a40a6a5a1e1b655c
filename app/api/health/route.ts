import type { Health } from "@/lib/api/health";
import { getDatabase } from "@/lib/catalog/db";
import { workers } from "@/lib/workers/workers";
import { answer, getOnly, json, noQuery, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** Whether the server and its catalogue answer, and which of its workers do: without them the server is well, and only their dictionaries cannot be run. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const db = await getDatabase();
    const rows = await db.rows<{ dictionaries: number }>("SELECT count(*)::int AS dictionaries FROM dictionary");
    const states = await Promise.all(workers().map((worker) => worker.glance()));
    const health: Health = {
      status: "ok",
      catalogue: db.kind,
      dictionaries: rows[0]?.dictionaries ?? 0,
      workers: { named: states.length, answering: states.filter(({ failure }) => !failure).length },
    };
    return json(request, health, "never");
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
