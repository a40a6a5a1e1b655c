import type { z } from "zod";
import { ndjsonResponse } from "@/lib/api/ndjson";
import { readJson } from "@/lib/api/read-json";
import { type Database, getDatabase } from "@/lib/catalog/db";
import { featureUnits } from "@/lib/catalog/feature-units";
import { FacetError } from "@/lib/core/errors";
import { limits } from "@/lib/core/protocol";
import type { Engine, GenerateOptions } from "@/lib/engine/engine";
import { openEventStream } from "@/lib/engine/event-stream";
import { log } from "@/lib/log";
import { matchingEngine } from "../matching-engine";
import { imageResolver } from "../resolve-image";
import { answer, noQuery, parseQuery } from "./handler";

/** What every request to an engine names. */
type Addressed = z.ZodType<{ dictionary: string; version?: string | undefined }>;

/** What the engine is given for one request. */
interface Asked<S extends Addressed> {
  body: z.infer<S>;
  engine: Engine;
  db: Database;
  options: GenerateOptions;
}

/**
 * Answers a request to the engine of its dictionary by the events of `run`, one JSON object a line. What is refused before the first event is answered with a
 * status; what fails later is logged and ends the stream. A client that leaves ends the run.
 */
export function streamFromEngine<S extends Addressed>(request: Request, schema: S, run: (asked: Asked<S>) => AsyncIterable<unknown>) {
  const leaving = new AbortController();
  const leave = () => leaving.abort();
  if (request.signal.aborted) leave();
  request.signal.addEventListener("abort", leave);
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const body = await readJson(request, schema, limits.requestBytes);
    const db = await getDatabase();
    const { sha256, maxima } = await featureUnits(db, body.dictionary, body.version);
    const engine = await matchingEngine(body.dictionary, sha256);
    if (!engine) throw new FacetError("engine_unavailable", `This server has no engine for ${body.dictionary}.`);
    const options = { signal: leaving.signal, resolveImage: imageResolver(db), unitOf: (feature: number) => maxima[feature] ?? 0 };
    const logged = (error: FacetError) =>
      log[error.status >= 500 ? "error" : "info"]({ code: error.code, err: error.cause }, error.message);
    return ndjsonResponse(await openEventStream(run({ body, engine, db, options }), logged, leaving.signal), leave);
  });
}
