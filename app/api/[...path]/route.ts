import { FacetError } from "@/lib/core/errors";
import { errorResponse } from "../_lib/handler";

/** Addresses under /api that no endpoint has: a typed error like every other, in place of a page. */
function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  return errorResponse(
    new FacetError("not_found", `The API has nothing at ${pathname.slice(0, 120)}.`, { fix: "/api/openapi.json lists what there is." }),
    request,
  );
}

export { answer as DELETE, answer as GET, answer as PATCH, answer as POST, answer as PUT };
