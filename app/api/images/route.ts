import { imagesQuerySchema } from "@/lib/api/images";
import { getDatabase } from "@/lib/catalog/db";
import { listImages } from "@/lib/catalog/images";
import { answer, getOnly, json, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => json(request, await listImages(await getDatabase(), parseQuery(imagesQuerySchema, request))));
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
