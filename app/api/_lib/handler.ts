/** What every GET does alike: refuse unknown query keys, answer errors in their one form, and carry an ETag. */
import { createHash } from "node:crypto";
import { z } from "zod";
import { parseParams } from "@/lib/api/read-json";
import { asFacetError, FacetError } from "@/lib/core/errors";
import { log } from "@/lib/log";

/** `fresh`: ask again each time (the ETag makes that cheap); `pinned`: the address names a version; `forever`: the address is a hash. */
export type Caching = "fresh" | "pinned" | "forever" | "never";

const cacheControl: Record<Caching, string> = {
  fresh: "private, no-cache",
  pinned: "private, max-age=3600",
  forever: "public, max-age=31536000, immutable",
  never: "no-store",
};

/** The answer to a failure, logged: not found as information, the caller's mistake as a warning, ours as an error. */
export function errorResponse(error: unknown, request: Request): Response {
  const known = asFacetError(error);
  const entry = { code: known.code, method: request.method, path: new URL(request.url).pathname };
  // An engine that is busy or not there is a state of this server, not a fault in it.
  const fault = known.status >= 500 && known.code !== "engine_busy" && known.code !== "engine_unavailable";
  if (fault) log.error({ ...entry, err: known.cause ?? known }, known.message);
  else if (known.status === 404 || known.code === "cancelled") log.info(entry, known.message);
  else log.warn(entry, known.message);
  const headers: Record<string, string> = { "Cache-Control": "no-store" };
  const waitS = known.retryAfterS ?? (known.code === "engine_busy" ? 5 : undefined);
  if (waitS !== undefined) headers["Retry-After"] = String(waitS);
  return Response.json({ error: known.toJSON() }, { status: known.status, headers });
}

/** Runs a handler; what it throws becomes the typed answer. */
export async function answer(request: Request, handler: () => Promise<Response>): Promise<Response> {
  try {
    return await handler();
  } catch (error) {
    return errorResponse(error, request);
  }
}

/** What an address that is read, and perhaps written to, answers to any other method, as `Allow` says. */
function refuseMethod(request: Request, how: string, allowed: string): Response {
  const { pathname } = new URL(request.url);
  const error = new FacetError("method_not_allowed", `${pathname.slice(0, 120)} is ${how}, not ${request.method}.`);
  const response = errorResponse(error, request);
  response.headers.set("Allow", allowed);
  return response;
}

export const getOnly = (request: Request): Response => refuseMethod(request, "read with GET", "GET, HEAD");
export const getOrPostOnly = (request: Request): Response =>
  refuseMethod(request, "read with GET and written with POST", "GET, HEAD, POST");

/** The query of a request's address by a strict schema; throws as `parseParams`. */
export const parseQuery = <S extends z.ZodObject>(schema: S, request: Request): z.infer<S> =>
  parseParams(schema, new URL(request.url).searchParams);

export const noQuery = z.strictObject({});

function matches(request: Request, etag: string): boolean {
  const asked = request.headers.get("if-none-match");
  if (!asked) return false;
  return asked === "*" || asked.split(",").some((one) => one.trim().replace(/^W\//, "") === etag.replace(/^W\//, ""));
}

/** A body with its ETag, or 304 where the caller has it already. */
export function withEtag(request: Request, body: string | Uint8Array, etag: string, headers: Record<string, string>): Response {
  const all = { ...headers, ETag: etag };
  if (matches(request, etag)) return new Response(null, { status: 304, headers: all });
  return new Response(body as BodyInit, { headers: all });
}

export function json(request: Request, value: unknown, caching: Caching = "fresh"): Response {
  const body = JSON.stringify(value);
  const headers = { "Content-Type": "application/json; charset=utf-8", "Cache-Control": cacheControl[caching] };
  // Weak: the bytes differ by content encoding, the meaning does not.
  return withEtag(request, body, `W/"${createHash("sha256").update(body).digest("base64url").slice(0, 27)}"`, headers);
}

export function bytes(request: Request, body: Uint8Array, mime: string, sha256: string): Response {
  return withEtag(request, body, `"${sha256}"`, {
    "Content-Type": mime,
    "Content-Length": String(body.byteLength),
    "Cache-Control": cacheControl.forever,
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
  });
}
