/** A dictionary's model in this tab, with the catalogue's names of its features. */
import type { QueryClient } from "@tanstack/react-query";
import { enginePackageQueryOptions, type FeatureNames, featureNamesQueryOptions } from "@/lib/api/engine";
import { FacetError } from "@/lib/core/errors";
import type { Analysis, Dictionary } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import type { TabEngine } from "@/lib/engine/web/tab-engine";
import { loadInTab } from "./in-tab";
import { unlessAborted } from "./unless-aborted";

const nameless = { label: null, concept: null, density: null, alwaysOn: false, sink: false, maxActivation: null };

export interface NamedEngine {
  engine: TabEngine;
  names: FeatureNames;
}

/** Loads the model where it is not; an abort leaves the load to others. Throws `engine_unavailable`, `version_mismatch`, and as the load does. */
export async function engineOf(client: QueryClient, ref: Dictionary["ref"], signal: AbortSignal): Promise<NamedEngine> {
  const [pack, names] = await unlessAborted(
    Promise.all([client.fetchQuery(enginePackageQueryOptions(ref)), client.fetchQuery(featureNamesQueryOptions(ref))]),
    signal,
  );
  if (!pack) throw new FacetError("engine_unavailable", `There are no model files for ${ref} here.`);
  if (pack.sha256 !== names.sha256) {
    throw new FacetError("version_mismatch", `This server's model files are of other weights than the catalogue's ${ref}.`, {
      fix: "Import the dictionary that belongs to the model, or name its export in FACET_ENGINE_DIR.",
    });
  }
  return { engine: await unlessAborted(loadInTab(pack), signal), names };
}

/** Features that the engine found, each with its name; one that the catalogue lacks has none. */
export function named<T extends { index: number }>(found: readonly T[], names: FeatureNames["items"]) {
  const byIndex = new Map(names.map((name) => [name.index, name]));
  return found.map((one) => ({ ...(byIndex.get(one.index) ?? { index: one.index, ...nameless }), ...one }));
}

type Found = Awaited<ReturnType<TabEngine["features"]>>;

/** What the engine found on a picture, as `POST /api/analyse` tells it. */
export function analysisOf(ref: string, { rows, cols, total, features }: Found, { items }: FeatureNames): Analysis {
  const maps = features.map(({ map, ...feature }) => ({ ...feature, map: encodeMap(map) }));
  return { dictionary: ref, source: "engine", rows, cols, total, features: named(maps, items) };
}
