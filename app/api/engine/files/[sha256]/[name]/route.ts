import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { engineFileParamsSchema } from "@/lib/api/engine";
import { parseInput } from "@/lib/api/read-json";
import { FacetError } from "@/lib/core/errors";
import { servedFile } from "@/lib/engine/browser-package";
import { answer, getOnly, noQuery, parseQuery } from "../../../../_lib/handler";
import { parseRange } from "../../../byte-range";

export const dynamic = "force-dynamic";

type Context = { params: Promise<{ sha256: string; name: string }> };

const typeOf = (name: string) =>
  name.endsWith(".mjs") ? "text/javascript; charset=utf-8" : name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";

/** A file of the engine in the tab, by its hash, whole or in part: a download that broke off goes on where it stopped. */
export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const { sha256, name } = parseInput(engineFileParamsSchema, await context.params);
    const found = await servedFile(sha256);
    if (!found) {
      throw new FacetError("not_found", `This server has no file ${sha256.slice(0, 12)}….`, {
        fix: "Reload the page: the model was exported again since it was opened.",
      });
    }
    const { file, bytes } = found;
    const headers: Record<string, string> = {
      "Content-Type": typeOf(name),
      "Cache-Control": "public, max-age=31536000, immutable, no-transform",
      "Accept-Ranges": "bytes",
      ETag: `"${sha256}"`,
    };
    const range = parseRange(request.headers.get("range"), bytes);
    if (range === "unsatisfiable") return new Response(null, { status: 416, headers: { "Content-Range": `bytes */${bytes}` } });
    if (!range && request.headers.get("if-none-match") === headers.ETag) return new Response(null, { status: 304, headers });
    const { first, last } = range ?? { first: 0, last: bytes - 1 };
    if (range) headers["Content-Range"] = `bytes ${first}-${last}/${bytes}`;
    // Nobody reads a body that HEAD does not send: its file would stay open for good.
    const stream = bytes === 0 || request.method === "HEAD" ? null : createReadStream(file, { start: first, end: last });
    return new Response(stream && (Readable.toWeb(stream) as ReadableStream), { status: range ? 206 : 200, headers });
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
