import type { Database } from "@/lib/catalog/db";
import { dictionaryHash, featureNames } from "@/lib/catalog/feature-units";
import { storedActivations } from "@/lib/catalog/images";
import { FacetError } from "@/lib/core/errors";
import type { AnalyseRequest } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import type { Engine } from "@/lib/engine/engine";
import { matchingEngine } from "../matching-engine";
import { imageResolver } from "../resolve-image";

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

/**
 * Which features fire on an image, with their names: computed where this server has an engine, else from the stored examples. What the
 * route answers and what the picture's page is first drawn with. Throws what the engine and the catalogue throw.
 */
export async function analyseImage(db: Database, request: AnalyseRequest, signal: AbortSignal): Promise<Analysis> {
  const engine = await matchingEngine(request.dictionary, await dictionaryHash(db, request.dictionary));
  return engine ? analyseNow(db, engine, request, signal) : analyseStored(db, request);
}
