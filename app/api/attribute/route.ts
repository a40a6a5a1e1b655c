import { attributionRequestSchema } from "@/lib/core/attribution";
import { streamFromEngine } from "../_lib/engine-stream";

export const dynamic = "force-dynamic";

/** Finds which features make a token of an answer what it is, and streams the engine's events, one JSON object a line. */
export async function POST(request: Request): Promise<Response> {
  return streamFromEngine(request, attributionRequestSchema, ({ body, engine, options }) => engine.attribute(body, options));
}
