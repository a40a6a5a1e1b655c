/** A prompt's tokens as they are shown and chosen. Pure. */
import type { Firing } from "@/components/image/firing";
import { named } from "@/components/local-engine/engine-of";
import type { FeatureNames } from "@/lib/api/engine";
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { encodeMap, toDense } from "@/lib/core/sparse-map";

export interface Active {
  index: number;
  label: string | null;
  activation: number;
}

/** Every feature with its name and its activation at each position. */
export function nameFirings({ positions, features }: PromptFeatures, names: FeatureNames["items"]): Firing[] {
  return named(
    features.map(({ map, ...feature }) => ({ ...feature, map: encodeMap(map), dense: toDense(map, 1, positions.length) })),
    names,
  );
}

/** The strongest features of each position, those that fire nearly everywhere left out. */
export function strongestAt(firings: readonly Firing[], length: number, count: number): Active[][] {
  const found: Active[][] = Array.from({ length }, () => []);
  for (const { index, label, dense, alwaysOn, sink } of firings) {
    if (alwaysOn || sink) continue;
    for (let position = 0; position < length; position++) {
      const activation = dense[position] as number;
      if (activation > 0) found[position]?.push({ index, label, activation });
    }
  }
  return found.map((active) => active.sort((a, b) => b.activation - a.activation || a.index - b.index).slice(0, count));
}

export interface Chosen {
  /** Positions, of words and template alone. */
  on: ReadonlySet<number>;
  /** Where a range begins. */
  anchor: number | null;
}

export const noneChosen: Chosen = { on: new Set(), anchor: null };

/** One token in place of what was chosen; none where it alone was. */
export function chooseOne({ on }: Chosen, position: number): Chosen {
  return on.size === 1 && on.has(position) ? noneChosen : { on: new Set([position]), anchor: position };
}

export function toggleOne({ on }: Chosen, position: number): Chosen {
  const next = new Set(on);
  if (!next.delete(position)) next.add(position);
  return { on: next, anchor: position };
}

/** From the anchor to a token, over `order`: the positions that can be chosen, ascending. */
export function chooseTo({ anchor }: Chosen, position: number, order: readonly number[]): Chosen {
  const from = anchor ?? position;
  const [low, high] = [Math.min(from, position), Math.max(from, position)];
  return { on: new Set(order.filter((at) => at >= low && at <= high)), anchor: from };
}

/** How much each position counts: 1 for a chosen token, a cell's painted share for the picture's. */
export function weightsOf(length: number, on: ReadonlySet<number>, image: { start: number; cover: Float32Array } | null): Float32Array {
  const weights = new Float32Array(length);
  for (const position of on) weights[position] = 1;
  if (image) weights.set(image.cover, image.start);
  return weights;
}
