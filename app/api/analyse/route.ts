import { maxAnalyseBytes } from "@/lib/api/analyse";
import { readJson } from "@/lib/api/read-json";
import { type Database, getDatabase } from "@/lib/catalog/db";
import { featureNames } from "@/lib/catalog/feature-units";
import { storedActivations } from "@/lib/catalog/images";
import { FacetError } from "@/lib/core/errors";
import { type AnalyseRequest, analyseRequestSchema } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import type { Engine } from "@/lib/engine/engine";
import { engineFor } from "@/lib/engine/registry";
import { errorResponse } from "../error-response";
import { imageResolver } from "../resolve-image";

export const dynamic = "force-dynamic";

async function analyseNow(db: Database, engine: Engine, body: AnalyseRequest, signal: AbortSignal): Promise<Analysis> {
  const { rows, cols, total, features } = await engine.features(body, { signal, resolveImage: imageResolver(db) });
  const indices = features.map(({ index }) => index);
  const names = await featureNames(db, body.dictionary, indices);
  const nameless = { label: null, concept: null, density: null, alwaysOn: false, sink: false, maxActivation: null };
  return {
    dictionary: body.dictionary,
    source: "engine",
    rows,
    cols,
    total,
    features: features.map(({ index, mean, peak, map }) => ({ index, ...(names.get(index) ?? nameless), mean, peak, map: encodeMap(map) })),
  };
}

/** Without an engine only the catalogue's own pictures have anything stored. */
async function analyseStored(db: Database, { dictionary, image, limit }: AnalyseRequest): Promise<Analysis> {
  if (!("sha256" in image)) {
    throw new FacetError("engine_unavailable", `This server has no engine for ${dictionary}, so it cannot look at a new picture.`, {
      fix: "Pick a picture of the catalogue.",
    });
  }
  const stored = await storedActivations(db, dictionary, image.sha256);
  return { ...stored, features: stored.features.slice(0, limit) };
}

/** Which features fire on a picture, cell by cell, strongest mean first. */
export async function POST(request: Request): Promise<Response> {
  try {
    const body = await readJson(request, analyseRequestSchema, maxAnalyseBytes);
    const db = await getDatabase();
    const engine = await engineFor(body.dictionary);
    const analysis = engine ? await analyseNow(db, engine, body, request.signal) : await analyseStored(db, body);
    return Response.json(analysis, { headers: { "cache-control": "no-store" } });
  } catch (error) {
    return errorResponse(error);
  }
}
