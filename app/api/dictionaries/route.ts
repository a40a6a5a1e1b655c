import { getDatabase } from "@/lib/catalog/db";
import { listDictionaries } from "@/lib/catalog/dictionaries";
import { answer, getOnly, json, noQuery, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    return json(request, { items: await listDictionaries(await getDatabase()) });
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
