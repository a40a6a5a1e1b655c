/** What fires on a picture, computed by the model in this tab and named by the catalogue: the same answer as `POST /api/analyse`. */
import type { QueryClient } from "@tanstack/react-query";
import { enginePackageQueryOptions, featureNamesQueryOptions } from "@/lib/api/engine";
import { FacetError } from "@/lib/core/errors";
import type { AnalyseRequest } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import type { OwnPictures } from "@/lib/engine/web/tab-wire";
import { loadInTab } from "./in-tab";
import { unlessAborted } from "./unless-aborted";

export const nameless = { label: null, concept: null, density: null, alwaysOn: false, sink: false, maxActivation: null };

/** `pictures`: those of the request that the server does not have. Throws what the engine throws. */
export async function analyseInTab(
  client: QueryClient,
  request: AnalyseRequest,
  pictures: OwnPictures,
  signal: AbortSignal,
): Promise<Analysis> {
  const ref = request.dictionary;
  const [pack, names] = await unlessAborted(
    Promise.all([client.fetchQuery(enginePackageQueryOptions(ref)), client.fetchQuery(featureNamesQueryOptions(ref))]),
    signal,
  );
  if (!pack) throw new FacetError("engine_unavailable", `This server has no model files for ${ref}.`);
  if (pack.sha256 !== names.sha256) {
    throw new FacetError("version_mismatch", `This server's model files are of other weights than the catalogue's ${ref}.`, {
      fix: "Import the dictionary that belongs to the model, or name its export in FACET_ENGINE_DIR.",
    });
  }
  const engine = await unlessAborted(loadInTab(pack), signal);
  const { rows, cols, total, features } = await engine.features(request, pictures, signal);
  const byIndex = new Map(names.items.map((name) => [name.index, name]));
  return {
    dictionary: ref,
    source: "engine",
    rows,
    cols,
    total,
    features: features.map(({ index, mean, peak, map }) => ({
      ...(byIndex.get(index) ?? { index, ...nameless }),
      mean,
      peak,
      map: encodeMap(map),
    })),
  };
}
