import { FacetError } from "@/lib/core/errors";
import type { Engine } from "@/lib/engine/engine";
import { engineFor } from "@/lib/engine/registry";

/**
 * This server's engine for a dictionary; null where there is none. Throws `version_mismatch` when it holds other weights than the catalogue describes, whose
 * names and maxima would then be another dictionary's.
 */
export async function matchingEngine(ref: string, sha256: string): Promise<Engine | null> {
  const engine = await engineFor(ref);
  if (!engine) return null;
  const { dictionary } = await engine.info();
  if (dictionary.sha256 === sha256) return engine;
  throw new FacetError("version_mismatch", `The catalogue and the engine hold different versions of ${ref}.`, {
    fix: "Import the bundle that was made with the engine's files.",
  });
}
