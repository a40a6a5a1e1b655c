import { maxAnalyseBytes } from "@/lib/api/analyse";
import { readJson } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { analyseRequestSchema } from "@/lib/core/protocol";
import { errorResponse } from "../error-response";
import { analyseImage } from "./analyse-image";

export const dynamic = "force-dynamic";

/** Which features fire on a picture, cell by cell, strongest mean first. */
export async function POST(request: Request): Promise<Response> {
  try {
    const body = await readJson(request, analyseRequestSchema, maxAnalyseBytes);
    const analysis = await analyseImage(await getDatabase(), body, request.signal);
    return Response.json(analysis, { headers: { "cache-control": "no-store" } });
  } catch (error) {
    return errorResponse(error);
  }
}
