import { histogramsQuerySchema } from "@/lib/api/histograms";
import { getDatabase } from "@/lib/catalog/db";
import { featureHistograms } from "@/lib/catalog/histograms";
import { answer, getOnly, json, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const { dictionary, v } = parseQuery(histogramsQuerySchema, request);
    return json(request, await featureHistograms(await getDatabase(), dictionary, v));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
