import { getDatabase } from "@/lib/catalog/db";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { dictionaryRefSchema } from "@/lib/core/protocol";
import { listFeatures } from "@/lib/search/list-features";
import { answer, json, parseInput } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const query = parseFeatureQuery(new URL(request.url).searchParams);
    parseInput(dictionaryRefSchema, query.dictionary);
    return json(request, await listFeatures(await getDatabase(), query));
  });
}
