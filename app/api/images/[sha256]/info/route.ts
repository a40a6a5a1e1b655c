import { imageParamsSchema } from "@/lib/api/images";
import { parseInput } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { findImageInfo } from "@/lib/catalog/images";
import { answer, getOnly, json, noQuery, parseQuery } from "../../../_lib/handler";

export const dynamic = "force-dynamic";

type Context = { params: Promise<{ sha256: string }> };

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const { sha256 } = parseInput(imageParamsSchema, await context.params);
    return json(request, await findImageInfo(await getDatabase(), sha256));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
