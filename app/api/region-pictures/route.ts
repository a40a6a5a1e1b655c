import { regionPicturesQuerySchema } from "@/lib/api/region-pictures";
import { getDatabase } from "@/lib/catalog/db";
import { regionPictures } from "@/lib/catalog/region-pictures";
import { answer, getOnly, json, parseQuery } from "../_lib/handler";

export const dynamic = "force-dynamic";

/** Pictures of the catalogue on which some features fire in a painted region. */
export function GET(request: Request): Promise<Response> {
  return answer(request, async () =>
    json(request, await regionPictures(await getDatabase(), parseQuery(regionPicturesQuerySchema, request))),
  );
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
