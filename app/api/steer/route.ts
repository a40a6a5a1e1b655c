import { recordRun } from "@/lib/catalog/runs";
import { generateRequestSchema } from "@/lib/core/protocol";
import { log } from "@/lib/log";
import { streamFromEngine } from "../_lib/engine-stream";

export const dynamic = "force-dynamic";

/** Runs a generate request and streams the engine's events, one JSON object a line. */
export async function POST(request: Request): Promise<Response> {
  return streamFromEngine(request, generateRequestSchema, ({ body, engine, db, options }) =>
    recordRun(db, body, engine.generate(body, options), (error) =>
      log.warn({ err: error }, "A run could not be kept, and cannot be saved."),
    ),
  );
}
