import { maxAnalyseBytes } from "@/lib/api/analyse";
import { readJson } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { analyseRequestSchema } from "@/lib/core/protocol";
import { answer, noQuery, parseQuery } from "../_lib/handler";
import { analyseImage } from "./analyse-image";

export const dynamic = "force-dynamic";

/** Which features fire on a picture, cell by cell, strongest mean first. */
export function POST(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const body = await readJson(request, analyseRequestSchema, maxAnalyseBytes);
    const analysis = await analyseImage(await getDatabase(), body, request.signal);
    return Response.json(analysis, { headers: { "cache-control": "no-store" } });
  });
}
