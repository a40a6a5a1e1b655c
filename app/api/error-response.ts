import { asFacetError, type FacetError } from "@/lib/core/errors";
import { log } from "@/lib/log";

/** The sentence goes to the client, the cause to the log: ours as an error, the client's mistakes as information. */
export function logFailure(error: FacetError): void {
  const entry = { code: error.code, err: error.cause ?? error };
  if (error.status >= 500 && !error.retry) log.error(entry, error.message);
  else if (error.status >= 500) log.warn(entry, error.message);
  else log.info({ code: error.code }, error.message);
}

/** Every route's answer to a failure: `{error: {code, message, fix, retry}}` with the code's status. */
export function errorResponse(error: unknown): Response {
  const known = asFacetError(error);
  logFailure(known);
  const headers: Record<string, string> = { "cache-control": "no-store" };
  if (known.code === "engine_busy") headers["retry-after"] = "5";
  return Response.json({ error: known }, { status: known.status, headers });
}
