import { getDatabase } from "@/lib/catalog/db";
import { findImageInfo } from "@/lib/catalog/images";
import { sha256Schema } from "@/lib/core/protocol";
import { answer, json, noQuery, parseInput, parseQuery } from "../../../_lib/handler";

export const dynamic = "force-dynamic";

type Context = { params: Promise<{ sha256: string }> };

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const sha256 = parseInput(sha256Schema, (await context.params).sha256);
    return json(request, await findImageInfo(await getDatabase(), sha256));
  });
}
