import { featureParamsSchema, featureQuerySchema } from "@/lib/api/feature";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { answer, getOnly, json, parseQuery } from "../../../../_lib/handler";

export const dynamic = "force-dynamic";

type Context = { params: Promise<Record<string, string>> };

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    const { model, dictionary, index } = parseInput(featureParamsSchema, await context.params);
    const { v } = parseQuery(featureQuerySchema, request);
    const feature = await findFeature(await getDatabase(), `${model}/${dictionary}`, index, v);
    // An engine that is away may be back at any time.
    return json(request, feature, v && feature.dictionary.engine !== "unreachable" ? "pinned" : "fresh");
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
