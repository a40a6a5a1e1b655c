import { engineQuerySchema } from "@/lib/api/engine";
import { enginePackage } from "@/lib/engine/browser-package";
import { answer, getOnly, json, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** What a tab needs to run a dictionary's model by itself; null where this server has not its files, which is nothing wrong. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () => json(request, await enginePackage(parseQuery(engineQuerySchema, request).dictionary)));
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
