import { experimentsQuerySchema } from "@/lib/api/experiments";
import { readJson } from "@/lib/api/read-json";
import { getDatabase } from "@/lib/catalog/db";
import { listExperiments, saveExperiment } from "@/lib/catalog/experiments";
import { saveExperimentSchema } from "@/lib/core/experiment";
import { limits } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { dataUrlBytes } from "@/lib/engine/decode-image";
import { env } from "@/lib/env";
import { answer, getOrPostOnly, json, noQuery, parseQuery } from "../_lib/handler";
import { saveLimiter } from "./save-limits";

export const dynamic = "force-dynamic";

const limiter = saveLimiter(env.saves);

export function GET(request: Request): Promise<Response> {
  return answer(request, async () => {
    const query = parseQuery(experimentsQuerySchema, request);
    return json(request, await listExperiments(await getDatabase(), query));
  });
}

function answerSaved({ experiment, created }: Awaited<ReturnType<typeof saveExperiment>>): Response {
  return Response.json(experiment, {
    status: created ? 201 : 200,
    headers: { "Cache-Control": "no-store", Location: routes.api.experiment(experiment.id) },
  });
}

/** Saves a run that this server's engine has finished; what the client says of its texts and receipts is not asked. */
export function POST(request: Request): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const body = await readJson(request, saveExperimentSchema, limits.requestBytes);
    const place = limiter.take(request, Date.now());
    let created = false;
    try {
      const saved = await saveExperiment(await getDatabase(), body, body.pictures.map(dataUrlBytes));
      created = saved.created;
      return answerSaved(saved);
    } finally {
      if (!created) place.release();
    }
  });
}

export { getOrPostOnly as DELETE, getOrPostOnly as PATCH, getOrPostOnly as PUT };
