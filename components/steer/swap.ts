/** Swapping what a picture shows for something else: which features to take away where another is set. */
import type { Scope } from "@/lib/core/protocol";
import type { AnalysedFeature, Analysis } from "@/lib/core/records";
import { decodeMap } from "@/lib/core/sparse-map";

/** At most so many are ablated: the strongest. More of them are faint, and take the rest of the picture along. */
export const swapLimit = 12;

export interface SwapPlan {
  /** Features to ablate, strongest first, by their share of their own maximum within the scope. */
  ablate: number[];
  /** How many are active in the scope, before the limit. */
  active: number;
}

/** Whether a swap can be made in the scope: only a picture has something to take away before a word is written. */
export const canSwap = (scope: Scope): boolean => scope.type === "image" || scope.type === "all" || scope.type === "region";

/** How strongly a feature fires within a scope on one picture, as a share of its own maximum. */
function shareWithin(feature: AnalysedFeature, cells: ReadonlySet<number> | null): number {
  const { positions, values } = decodeMap(feature.map);
  let strongest = 0;
  positions.forEach((cell, i) => {
    if (cells === null || cells.has(cell)) strongest = Math.max(strongest, values[i] ?? 0);
  });
  return feature.maxActivation ? strongest / feature.maxActivation : strongest;
}

/**
 * What is active in a scope and can be taken away there. What is always on and what gathers at sinks carries the picture as a whole, so it stays; so does
 * what is clamped already.
 * @param analyses of the request's pictures, in their order; null for one that could not be looked at
 */
export function planSwap(analyses: readonly (Analysis | null)[], scope: Scope, clamped: readonly number[]): SwapPlan {
  const shares = new Map<number, number>();
  analyses.forEach((analysis, picture) => {
    if (!analysis || (scope.type === "region" && scope.image !== picture)) return;
    const cells = scope.type === "region" ? new Set(scope.cells) : null;
    for (const feature of analysis.features) {
      if (feature.alwaysOn || feature.sink || clamped.includes(feature.index)) continue;
      const share = shareWithin(feature, cells);
      if (share > 0) shares.set(feature.index, Math.max(share, shares.get(feature.index) ?? 0));
    }
  });
  const order = [...shares].sort(([a, left], [b, right]) => right - left || a - b).map(([index]) => index);
  return { ablate: order.slice(0, swapLimit), active: order.length };
}
