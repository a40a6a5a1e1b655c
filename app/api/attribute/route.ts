import { ndjsonResponse } from "@/lib/api/ndjson";
import { readJson } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { featureUnits } from "@/lib/catalog/feature-units";
import { type AttributionEvent, attributionRequestSchema } from "@/lib/core/attribution";
import { FacetError } from "@/lib/core/errors";
import { limits } from "@/lib/core/protocol";
import { openEventStream } from "@/lib/engine/event-stream";
import { log } from "@/lib/log";
import { answer, noQuery, parseQuery } from "../_lib/handler";
import { matchingEngine } from "../matching-engine";
import { imageResolver } from "../resolve-image";

export const dynamic = "force-dynamic";

/** What is refused before the first event is thrown; what fails later is logged and ends the stream. */
async function open(request: Request, signal: AbortSignal): Promise<AsyncGenerator<AttributionEvent, void, void>> {
  const body = await readJson(request, attributionRequestSchema, limits.requestBytes);
  const db = await getDatabase();
  const { sha256, maxima } = await featureUnits(db, body.dictionary, body.version);
  const engine = await matchingEngine(body.dictionary, sha256);
  if (!engine) throw new FacetError("engine_unavailable", `This server has no engine for ${body.dictionary}.`);
  const events = engine.attribute(body, { signal, resolveImage: imageResolver(db), unitOf: (feature) => maxima[feature] ?? 0 });
  const logged = (error: FacetError) => log[error.status >= 500 ? "error" : "info"]({ code: error.code, err: error.cause }, error.message);
  return openEventStream(events, logged, signal);
}

/** Finds which features make a token of an answer what it is, and streams the engine's events, one JSON object a line. */
export async function POST(request: Request): Promise<Response> {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  if (request.signal.aborted) leave();
  request.signal.addEventListener("abort", leave);
  return answer(request, async () => {
    parseQuery(noQuery, request);
    return ndjsonResponse(await open(request, leaving.signal), leave);
  });
}
