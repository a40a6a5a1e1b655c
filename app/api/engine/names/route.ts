import { engineQuerySchema } from "@/lib/api/engine";
import { getDatabase } from "@/lib/catalog/db";
import { allFeatureNames } from "@/lib/catalog/feature-units";
import { answer, getOnly, json, parseQuery } from "../../_lib/handler";

export const dynamic = "force-dynamic";

/** The names of all features: who asked for those of some would tell what fires on a picture. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const { dictionary } = parseQuery(engineQuerySchema, request);
    return json(request, { dictionary, ...(await allFeatureNames(await getDatabase(), dictionary)) });
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
