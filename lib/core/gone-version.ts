import type { Dictionary } from "./records";

/**
 * A link may name a version by the weights' hash after the content that it named has gone: it opens the latest content of those weights.
 * Returns the 12 digits that it named in such a case, so that the page can say so; else null.
 */
export function goneVersion({ sha256, version }: Pick<Dictionary, "sha256" | "version">, pinned: string | null | undefined): string | null {
  return pinned && sha256.startsWith(pinned) && !version.startsWith(pinned) ? pinned.slice(0, 12) : null;
}
