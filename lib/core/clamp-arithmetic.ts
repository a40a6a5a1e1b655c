/**
 * Adding clamps to hidden states. Mode `delta`: h' = h + Σ_f (v_f − a_f(h)) · W_dec[f]. Mode `reconstruct`: h' = Σ_i a'_i W_dec[i] + b_dec, where
 * a' are the latents with the clamped ones replaced. All in float32, and independent of the order in which clamps are given.
 */
import { type PlannedClamp, targetActivation } from "./clamp";
import type { Mode } from "./protocol";

/** TopK activations of some hidden states, `k` a row; unused places hold the value 0. */
export interface Codes {
  k: number;
  indices: Int32Array;
  values: Float32Array;
}

/** The codes of no state. */
export const noCodes: Codes = { k: 0, indices: new Int32Array(0), values: new Float32Array(0) };

export interface Decoder {
  width: number;
  /** W_dec[feature], `width` long. */
  row(feature: number): Float32Array;
  /** b_dec, `width` long. */
  bias: Float32Array;
}

/**
 * What an arm makes of the clamps: as asked; with every change turned round; or with each feature's change written along another feature's
 * decoder row at equal norm.
 */
export type Variant = { kind: "asked" } | { kind: "negated" } | { kind: "random"; substitutes: number[] };

/** One clamp at one row: the activation of the feature that is written, and what is added to it. */
export interface Change {
  /** Index of the clamp in the plan. */
  clamp: number;
  /** Row of the slab. */
  row: number;
  feature: number;
  before: number;
  difference: number;
}

export interface Slab {
  /** Hidden states at the hook, [rows, width]; not written to. */
  hidden: Float32Array;
  /** Rows that the codes describe, ascending; `codes` has one row for each. In mode `reconstruct` these are all rows. */
  codedRows: number[];
  codes: Codes;
  /** The clamps' indices in the plan that act on a row. */
  clampsAt: (row: number) => number[];
}

export interface ClampedSlab {
  /** What the upper half is given. */
  output: Float32Array;
  /** The same without clamps: `hidden` itself, or its reconstruction. */
  reference: Float32Array;
  changes: Change[];
}

const f32 = Math.fround;

export function activationAt(codes: Codes, row: number, feature: number): number {
  const start = row * codes.k;
  for (let i = start; i < start + codes.k; i++) {
    if (codes.indices[i] === feature) return codes.values[i] as number;
  }
  return 0;
}

/** The codes of one row among several. */
export function codesOfRow({ k, indices, values }: Codes, row: number): Codes {
  return { k, indices: indices.subarray(row * k, (row + 1) * k), values: values.subarray(row * k, (row + 1) * k) };
}

function norm(vector: Float32Array): number {
  let sum = 0;
  for (const x of vector) sum += x * x;
  return Math.sqrt(sum);
}

function changeOf(
  clamps: PlannedClamp[],
  index: number,
  variant: Variant,
  codes: Codes,
  codedRow: number,
  row: number,
  decoder: Decoder,
): Change {
  const { intervention, unitActivation } = clamps[index] as PlannedClamp;
  const { feature } = intervention;
  const activation = activationAt(codes, codedRow, feature);
  const difference = f32(targetActivation(intervention, unitActivation, activation) - activation);
  switch (variant.kind) {
    case "asked":
      return { clamp: index, row, feature, before: activation, difference };
    case "negated":
      return { clamp: index, row, feature, before: activation, difference: -difference };
    case "random": {
      const substitute = variant.substitutes[index] as number;
      const gain = norm(decoder.row(feature)) / norm(decoder.row(substitute));
      return {
        clamp: index,
        row,
        feature: substitute,
        before: activationAt(codes, codedRow, substitute),
        difference: f32(difference * gain),
      };
    }
  }
}

/** target += amount · W_dec[feature], rounding to float32 at each step. */
function addRow(target: Float32Array, offset: number, decoder: Decoder, feature: number, amount: number): void {
  const row = decoder.row(feature);
  for (let j = 0; j < decoder.width; j++) target[offset + j] = (target[offset + j] as number) + f32(amount * (row[j] as number));
}

function writeReconstruction(target: Float32Array, offset: number, decoder: Decoder, latents: [number, number][]): void {
  target.fill(0, offset, offset + decoder.width);
  for (const [feature, value] of latents) if (value !== 0) addRow(target, offset, decoder, feature, value);
  for (let j = 0; j < decoder.width; j++) target[offset + j] = (target[offset + j] as number) + (decoder.bias[j] as number);
}

function latentsOf(codes: Codes, row: number): [number, number][] {
  const latents: [number, number][] = [];
  for (let i = row * codes.k; i < (row + 1) * codes.k; i++) {
    if (codes.values[i] !== 0) latents.push([codes.indices[i] as number, codes.values[i] as number]);
  }
  return latents;
}

/**
 * The latents after the clamps, at most k of them as TopK leaves: a clamped latent that was absent displaces the weakest unclamped one. A
 * clamp is always kept, a negative one too (plain TopK would drop it silently); a place that a clamp frees stays empty.
 */
function clampedLatents(codes: Codes, row: number, changes: Change[]): [number, number][] {
  const clamped = new Map<number, number>();
  for (const { feature, before, difference } of changes) clamped.set(feature, f32((clamped.get(feature) ?? before) + difference));
  const kept = latentsOf(codes, row);
  const latents = kept.map(([feature, value]): [number, number] => [feature, clamped.get(feature) ?? value]);
  const present = new Set(kept.map(([feature]) => feature));
  for (const [feature, value] of clamped) if (value !== 0 && !present.has(feature)) latents.push([feature, value]);
  let surplus = latents.length - codes.k;
  for (let i = kept.length - 1; i >= 0 && surplus > 0; i--) {
    if (clamped.has((kept[i] as [number, number])[0])) continue;
    latents.splice(i, 1);
    surplus--;
  }
  return latents;
}

const byFeature = (a: Change, b: Change) => a.feature - b.feature || a.difference - b.difference;

/** Applies the plan's clamps to the coded rows of a slab. */
export function clampSlab(mode: Mode, clamps: PlannedClamp[], variant: Variant, decoder: Decoder, slab: Slab): ClampedSlab {
  const { hidden, codes, codedRows, clampsAt } = slab;
  const { width } = decoder;
  const output = hidden.slice();
  const reference = mode === "reconstruct" ? hidden.slice() : hidden;
  const changes: Change[] = [];
  const delta = new Float32Array(width);
  codedRows.forEach((row, codedRow) => {
    const offset = row * width;
    const here = clampsAt(row)
      .map((index) => changeOf(clamps, index, variant, codes, codedRow, row, decoder))
      .sort(byFeature);
    changes.push(...here);
    const real = here.filter(({ difference }) => difference !== 0);
    if (mode === "reconstruct") {
      writeReconstruction(reference, offset, decoder, latentsOf(codes, codedRow));
      if (real.length) writeReconstruction(output, offset, decoder, clampedLatents(codes, codedRow, real));
      else output.set(reference.subarray(offset, offset + width), offset);
      return;
    }
    if (real.length === 0) return;
    delta.fill(0);
    for (const { feature, difference } of real) addRow(delta, 0, decoder, feature, difference);
    for (let j = 0; j < width; j++) output[offset + j] = (output[offset + j] as number) + (delta[j] as number);
  });
  return { output, reference, changes };
}
