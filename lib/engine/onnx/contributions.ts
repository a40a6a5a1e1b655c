/** The arithmetic of attribution over one sequence's states; docs/attribution.md. Sums are in double precision. */
import type { AttributionParts, AttributionResult, AttributionRow } from "@/lib/core/attribution";
import type { Codes } from "@/lib/core/clamp-arithmetic.mjs";
import type { HookWeights } from "./token-hook.mjs";

/** Where each feature is active, and how much. */
export type Active = Map<number, { positions: number[]; activations: number[] }>;

export function activeFeatures(codes: Codes): Active {
  const active: Active = new Map();
  codes.values.forEach((value, i) => {
    if (!(value > 0)) return;
    const feature = codes.indices[i] as number;
    const found = active.get(feature) ?? { positions: [], activations: [] };
    found.positions.push(Math.floor(i / codes.k));
    found.activations.push(value);
    active.set(feature, found);
  });
  return active;
}

function dot(a: Float32Array, b: Float32Array | Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += (a[j] as number) * (b[j] as number);
  return sum;
}

/** Σ_f a_f · W_dec[f] at every position, [T · width]. */
export function featurePart(active: Active, length: number, { decoder, width }: HookWeights): Float64Array {
  const sums = new Float64Array(length * width);
  for (const [feature, { positions, activations }] of active) {
    const row = decoder.row(feature);
    positions.forEach((position, i) => {
      const activation = activations[i] as number;
      for (let j = 0; j < width; j++) sums[position * width + j] = (sums[position * width + j] as number) + activation * (row[j] as number);
    });
  }
  return sums;
}

type Contributions = Pick<AttributionResult, "totals" | "active" | "rows" | "sums">;

/**
 * Every feature's contribution at every position, and what is left of gradient · state. `rows` are all active features, largest |estimate| first.
 * `hidden` and `gradient` are [T · width]; `onImage` says which positions are an image's.
 */
export function contributionsOf(
  hidden: Float32Array,
  gradient: Float32Array,
  active: Active,
  weights: HookWeights,
  onImage: readonly boolean[],
): Contributions {
  const { width, decoder } = weights;
  const length = onImage.length;
  const at = (rows: Float32Array, position: number) => rows.subarray(position * width, (position + 1) * width);
  const sums = new Array<number>(length).fill(0);
  const rows = [...active].map(([feature, { positions, activations }]): AttributionRow => {
    const row = decoder.row(feature);
    const values = positions.map((position, i) => (activations[i] as number) * dot(at(gradient, position), row));
    const parts = { total: 0, image: 0, text: 0 };
    positions.forEach((position, i) => {
      add(parts, values[i] as number, onImage[position] as boolean);
      sums[position] = (sums[position] as number) + (values[i] as number);
    });
    const { total: estimate, image, text } = parts;
    return { feature, estimate, image, text, activation: Math.max(...activations), at: { positions, values } };
  });
  const rebuilt = featurePart(active, length, weights);
  const totals = { whole: none(), features: none(), error: none(), bias: none() };
  const left = new Float64Array(width);
  for (let position = 0; position < length; position++) {
    const [state, slope, image] = [at(hidden, position), at(gradient, position), onImage[position] as boolean];
    for (let j = 0; j < width; j++)
      left[j] = (state[j] as number) - (rebuilt[position * width + j] as number) - (decoder.bias[j] as number);
    add(totals.whole, dot(slope, state), image);
    add(totals.features, sums[position] as number, image);
    add(totals.error, dot(slope, left), image);
    add(totals.bias, dot(slope, decoder.bias), image);
  }
  rows.sort((a, b) => Math.abs(b.estimate) - Math.abs(a.estimate) || a.feature - b.feature);
  return { totals, active: rows.length, rows, sums };
}

const none = (): AttributionParts => ({ total: 0, image: 0, text: 0 });

function add(parts: AttributionParts, value: number, image: boolean): void {
  parts.total += value;
  parts[image ? "image" : "text"] += value;
}

/** The states with one feature taken out wherever it is active. */
export function withoutFeature(hidden: Float32Array, active: Active, feature: number, { decoder, width }: HookWeights): Float32Array {
  const { positions, activations } = active.get(feature) ?? { positions: [], activations: [] };
  const row = decoder.row(feature);
  const states = hidden.slice();
  positions.forEach((position, i) => {
    const activation = activations[i] as number;
    for (let j = 0; j < width; j++)
      states[position * width + j] = (states[position * width + j] as number) - activation * (row[j] as number);
  });
  return states;
}
