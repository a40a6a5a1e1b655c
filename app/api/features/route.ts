import { histogramsQuerySchema } from "@/lib/api/histograms";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { listFeatures } from "@/lib/search/list-features";
import { answer, getOnly, json } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const query = parseFeatureQuery(new URL(request.url).searchParams);
    parseInput(histogramsQuerySchema, { dictionary: query.dictionary });
    return json(request, await listFeatures(await getDatabase(), query));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
