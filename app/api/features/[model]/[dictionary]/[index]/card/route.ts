import { featureParamsSchema } from "@/lib/api/feature";
import { parseInput } from "@/lib/api/read-json";
import { type CardExample, cardExamples, featureCard } from "@/lib/card/feature-card";
import { type Database, getDatabase } from "@/lib/catalog/db";
import { findFeature } from "@/lib/catalog/feature-detail";
import { findImage } from "@/lib/catalog/images";
import type { ImageExample } from "@/lib/core/records";
import { answer, getOnly, noQuery, parseQuery } from "../../../../../_lib/handler";
import { drawn } from "../../../../../card-answer";

export const dynamic = "force-dynamic";

type Context = { params: Promise<Record<string, string>> };

async function withBytes(db: Database, examples: readonly ImageExample[]): Promise<CardExample[]> {
  return Promise.all(examples.map(async (example) => ({ example, bytes: (await findImage(db, example.image)).bytes })));
}

export function GET(request: Request, context: Context): Promise<Response> {
  return answer(request, async () => {
    parseQuery(noQuery, request);
    const { model, dictionary, index } = parseInput(featureParamsSchema, await context.params);
    const db = await getDatabase();
    const detail = await findFeature(db, `${model}/${dictionary}`, index);
    const examples = await withBytes(db, detail.feature.top.slice(0, cardExamples));
    const key = `feature ${detail.dictionary.ref} ${detail.dictionary.sha256} ${detail.dictionary.importedAt} ${index}`;
    return drawn(request, key, () => featureCard(detail, examples));
  });
}

export { getOnly as DELETE, getOnly as PATCH, getOnly as POST, getOnly as PUT };
