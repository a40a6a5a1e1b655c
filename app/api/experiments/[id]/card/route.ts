import { experimentParamsSchema } from "@/lib/api/experiments";
import { parseInput } from "@/lib/api/read-json";
import { experimentCard } from "@/lib/card/experiment-card";
import { getDatabase } from "@/lib/catalog/db";
import { findExperiment } from "@/lib/catalog/experiments";
import { findImage } from "@/lib/catalog/images";
import { answer, getOnly, noQuery, parseQuery } from "../../../_lib/handler";
import { drawn } from "../../../card-answer";

export const dynamic = "force-dynamic";

type Context = { params: Promise<Record<string, string>> };

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const { id } = parseInput(experimentParamsSchema, await context.params);
    const db = await getDatabase();
    const experiment = await findExperiment(db, id);
    const picture = experiment.picture === null ? null : (await findImage(db, experiment.picture)).bytes;
    return drawn(request, `experiment ${id}`, () => experimentCard(experiment, picture));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
