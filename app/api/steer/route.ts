import { ndjsonResponse } from "@/lib/api/ndjson";
import { readJson } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { featureUnits } from "@/lib/catalog/feature-units";
import { recordRun } from "@/lib/catalog/runs";
import { FacetError } from "@/lib/core/errors";
import { type EngineEvent, generateRequestSchema, limits } from "@/lib/core/protocol";
import { openEventStream } from "@/lib/engine/event-stream";
import { log } from "@/lib/log";
import { answer, noQuery, parseQuery } from "../_lib/handler";
import { matchingEngine } from "../matching-engine";
import { imageResolver } from "../resolve-image";

export const dynamic = "force-dynamic";

/** What is refused before the first event is thrown; what fails later is logged and ends the stream. */
async function open(request: Request, signal: AbortSignal): Promise<AsyncGenerator<EngineEvent, void, void>> {
  const body = await readJson(request, generateRequestSchema, limits.requestBytes);
  const db = await getDatabase();
  const { sha256, maxima } = await featureUnits(db, body.dictionary, body.version);
  const engine = await matchingEngine(body.dictionary, sha256);
  if (!engine) throw new FacetError("engine_unavailable", `This server has no engine for ${body.dictionary}.`);
  const unitOf = (feature: number) => maxima[feature] ?? 0;
  const events = engine.generate(body, { signal, resolveImage: imageResolver(db), unitOf });
  const logged = (error: FacetError) => log[error.status >= 500 ? "error" : "info"]({ code: error.code, err: error.cause }, error.message);
  const recorded = recordRun(db, body, events, (error) => log.warn({ err: error }, "A run could not be kept, and cannot be saved."));
  return openEventStream(recorded, logged, signal);
}

/** Runs a generate request and streams the engine's events, one JSON object a line. */
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
