import { openApiDocument } from "@/lib/api/openapi";
import packageJson from "@/package.json";
import { answer, json, noQuery, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    return json(request, openApiDocument(packageJson.version));
  });
}
