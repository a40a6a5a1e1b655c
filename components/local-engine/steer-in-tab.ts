"use client";
/** A generate request run in this tab, told as the server's stream tells it. */
import type { QueryClient } from "@tanstack/react-query";
import { enginePackageQueryOptions, type FeatureNames, featureNamesQueryOptions } from "@/lib/api/engine";
import { FacetError } from "@/lib/core/errors";
import { type EngineEvent, type GenerateRequestInput, generateRequestSchema } from "@/lib/core/protocol";
import { failedInTab, loadInTab } from "./in-tab";

/** Each feature's maximum over the catalogue, as the server's engine is told it; 0 where it never fired. */
export function unitsOf({ items }: FeatureNames): Float32Array {
  const units = new Float32Array(Math.max(0, ...items.map(({ index }) => index + 1)));
  for (const { index, maxActivation } of items) units[index] = Math.max(0, maxActivation ?? 0);
  return units;
}

/** Loads the model where it is not, then runs. Throws as the engine does; an abort ends it within a token. */
export async function* steerInTab(
  client: QueryClient,
  input: GenerateRequestInput,
  { signal }: { signal: AbortSignal },
): AsyncGenerator<EngineEvent, void, void> {
  const request = generateRequestSchema.parse(input);
  const [pack, names] = await Promise.all([
    client.fetchQuery(enginePackageQueryOptions(request.dictionary)),
    client.fetchQuery(featureNamesQueryOptions(request.dictionary)),
  ]);
  if (!pack || pack.sha256 !== names.sha256) {
    throw new FacetError("version_mismatch", `The catalogue and the model's files hold different versions of ${request.dictionary}.`, {
      fix: "Import the bundle that was made with the model's files.",
    });
  }
  try {
    const engine = await loadInTab(pack);
    if (signal.aborted) throw new FacetError("cancelled", "The request was cancelled before it began.");
    yield* engine.generate(request, unitsOf(names), new Map(), signal);
  } catch (thrown) {
    throw failedInTab(thrown);
  }
}
