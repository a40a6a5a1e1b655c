import { traitsQuerySchema } from "@/lib/api/feature-traits";
import { getDatabase } from "@/lib/catalog/db";
import { featureTraits } from "@/lib/catalog/feature-traits";
import { answer, getOnly, json, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** Names and health of some features at once. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const { dictionary, v, indices } = parseQuery(traitsQuerySchema, request);
    return json(request, { items: await featureTraits(await getDatabase(), dictionary, indices, v) });
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
