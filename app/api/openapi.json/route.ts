import { openApiDocument } from "@/lib/api/openapi";
import packageJson from "@/package.json";
import { answer, getOnly, json, noQuery, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    return json(request, openApiDocument(packageJson.version));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
