import { experimentParamsSchema } from "@/lib/api/experiments";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { findExperiment } from "@/lib/catalog/experiments";
import { answer, getOnly, json, noQuery, parseQuery } from "../../_lib/handler";

export const dynamic = "force-dynamic";

type Context = { params: Promise<Record<string, string>> };

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const { id } = parseInput(experimentParamsSchema, await context.params);
    return json(request, await findExperiment(await getDatabase(), id), "pinned");
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
