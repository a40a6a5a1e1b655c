/**
 * Adding clamps to hidden states. Mode `delta`: h' = h + Σ_f (v_f − a_f(h)) · W_dec[f]. Mode `reconstruct`: h' = Σ_i a'_i W_dec[i] + b_dec, where
 * a' are the latents with the clamped ones replaced. All in float32, and independent of the order in which clamps are given.
 *
 * Plain JavaScript, because the thread that runs the model clamps between two graphs and Node loads no TypeScript there.
 */

/** @typedef {import("./protocol").Mode} Mode */

/**
 * TopK activations of some hidden states, `k` a row; unused places hold the value 0.
 * @typedef {{ k: number, indices: Int32Array, values: Float32Array }} Codes
 */

/**
 * `row(feature)` is W_dec[feature], `bias` b_dec, each `width` long.
 * @typedef {{ width: number, row(feature: number): Float32Array, bias: Float32Array }} Decoder
 */

/**
 * What is asked of a feature; `unitActivation` is the raw activation of one unit of `value`.
 * @typedef {{ intervention: Pick<import("./protocol").Intervention, "feature" | "op" | "value">, unitActivation: number }} Clamp
 */

/**
 * What an arm makes of the clamps: as asked; with every change turned round; or with each feature's change written along another feature's
 * decoder row at equal norm.
 * @typedef {{ kind: "asked" } | { kind: "negated" } | { kind: "random", substitutes: number[] }} Variant
 */

/**
 * One clamp (its index in the plan) at one row of the slab: the activation of the feature that is written, and what is added to it.
 * @typedef {{ clamp: number, row: number, feature: number, before: number, difference: number }} Change
 */

/**
 * @typedef {object} Slab
 * @property {Float32Array} hidden Hidden states at the hook, [rows, width]; not written to.
 * @property {number[]} codedRows Rows that the codes describe, ascending; `codes` has one row for each. In mode `reconstruct` these are all rows.
 * @property {Codes} codes
 * @property {(row: number) => number[]} clampsAt The clamps' indices in the plan that act on a row.
 */

/**
 * @typedef {object} ClampedSlab
 * @property {Float32Array} output What the upper half is given.
 * @property {Float32Array} reference The same without clamps: `hidden` itself, or its reconstruction.
 * @property {Change[]} changes
 */

/**
 * The codes of no state.
 * @type {Codes}
 */
export const noCodes = { k: 0, indices: new Int32Array(0), values: new Float32Array(0) };

const f32 = Math.fround;

/**
 * What the clamp asks for where the feature's activation is `activation`; float32.
 * @param {Clamp["intervention"]} intervention
 * @param {number} unitActivation
 * @param {number} activation
 * @returns {number}
 */
export function targetActivation({ op, value }, unitActivation, activation) {
  const amount = f32(f32(value) * f32(unitActivation));
  switch (op) {
    case "set":
      return amount;
    case "scale":
      return f32(f32(value) * activation);
    case "add":
      return f32(activation + amount);
    case "ablate":
      return 0;
  }
}

/**
 * @param {Codes} codes
 * @param {number} row
 * @param {number} feature
 * @returns {number}
 */
export function activationAt(codes, row, feature) {
  const start = row * codes.k;
  for (let i = start; i < start + codes.k; i++) {
    if (codes.indices[i] === feature) return /** @type {number} */ (codes.values[i]);
  }
  return 0;
}

/**
 * The codes of one row among several.
 * @param {Codes} codes
 * @param {number} row
 * @returns {Codes}
 */
export function codesOfRow({ k, indices, values }, row) {
  return { k, indices: indices.subarray(row * k, (row + 1) * k), values: values.subarray(row * k, (row + 1) * k) };
}

/** @param {Float32Array} vector */
function norm(vector) {
  let sum = 0;
  for (const x of vector) sum += x * x;
  return Math.sqrt(sum);
}

/**
 * By how much a substitute's change is larger than the feature's, so that both have equal norm.
 * @param {Decoder} decoder
 * @param {number} feature
 * @param {number} substitute
 * @returns {number}
 */
export function substituteGain(decoder, feature, substitute) {
  return norm(decoder.row(feature)) / norm(decoder.row(substitute));
}

/**
 * What is added to a feature's activation, or to its substitute's; float32.
 * @param {Clamp} clamp
 * @param {Variant["kind"]} kind
 * @param {number} activation The clamped feature's own.
 * @param {number} gain As `substituteGain`; for the kind `random` only.
 * @returns {number}
 */
export function differenceOf({ intervention, unitActivation }, kind, activation, gain) {
  const difference = f32(targetActivation(intervention, unitActivation, activation) - activation);
  if (kind === "negated") return -difference;
  return kind === "random" ? f32(difference * gain) : difference;
}

/**
 * @param {readonly Clamp[]} clamps
 * @param {number} index
 * @param {Variant} variant
 * @param {Codes} codes
 * @param {number} codedRow
 * @param {number} row
 * @param {Decoder} decoder
 * @returns {Change}
 */
function changeOf(clamps, index, variant, codes, codedRow, row, decoder) {
  const clamp = /** @type {Clamp} */ (clamps[index]);
  const own = clamp.intervention.feature;
  const feature = variant.kind === "random" ? /** @type {number} */ (variant.substitutes[index]) : own;
  const activation = activationAt(codes, codedRow, own);
  const gain = variant.kind === "random" ? substituteGain(decoder, own, feature) : 1;
  const before = feature === own ? activation : activationAt(codes, codedRow, feature);
  return { clamp: index, row, feature, before, difference: differenceOf(clamp, variant.kind, activation, gain) };
}

/**
 * target += amount · W_dec[feature], rounding to float32 at each step.
 * @param {Float32Array} target
 * @param {number} offset
 * @param {Decoder} decoder
 * @param {number} feature
 * @param {number} amount
 */
function addRow(target, offset, decoder, feature, amount) {
  const row = decoder.row(feature);
  for (let j = 0; j < decoder.width; j++) {
    target[offset + j] = /** @type {number} */ (target[offset + j]) + f32(amount * /** @type {number} */ (row[j]));
  }
}

/**
 * @param {Float32Array} target
 * @param {number} offset
 * @param {Decoder} decoder
 * @param {[number, number][]} latents
 */
function writeReconstruction(target, offset, decoder, latents) {
  target.fill(0, offset, offset + decoder.width);
  for (const [feature, value] of latents) if (value !== 0) addRow(target, offset, decoder, feature, value);
  for (let j = 0; j < decoder.width; j++) {
    target[offset + j] = /** @type {number} */ (target[offset + j]) + /** @type {number} */ (decoder.bias[j]);
  }
}

/**
 * @param {Codes} codes
 * @param {number} row
 * @returns {[number, number][]}
 */
function latentsOf(codes, row) {
  /** @type {[number, number][]} */
  const latents = [];
  for (let i = row * codes.k; i < (row + 1) * codes.k; i++) {
    const value = /** @type {number} */ (codes.values[i]);
    if (value !== 0) latents.push([/** @type {number} */ (codes.indices[i]), value]);
  }
  return latents;
}

/**
 * The latents after the clamps, at most k of them as TopK leaves: a clamped latent that was absent displaces the weakest unclamped one. A
 * clamp is always kept, a negative one too (plain TopK would drop it silently); a place that a clamp frees stays empty.
 * @param {Codes} codes
 * @param {number} row
 * @param {Change[]} changes
 * @returns {[number, number][]}
 */
function clampedLatents(codes, row, changes) {
  /** @type {Map<number, number>} */
  const clamped = new Map();
  for (const { feature, before, difference } of changes) clamped.set(feature, f32((clamped.get(feature) ?? before) + difference));
  const kept = latentsOf(codes, row);
  /** @type {[number, number][]} */
  const latents = kept.map(([feature, value]) => [feature, clamped.get(feature) ?? value]);
  const present = new Set(kept.map(([feature]) => feature));
  for (const [feature, value] of clamped) if (value !== 0 && !present.has(feature)) latents.push([feature, value]);
  let surplus = latents.length - codes.k;
  for (let i = kept.length - 1; i >= 0 && surplus > 0; i--) {
    if (clamped.has(/** @type {[number, number]} */ (kept[i])[0])) continue;
    latents.splice(i, 1);
    surplus--;
  }
  return latents;
}

/**
 * @param {Change} a
 * @param {Change} b
 */
const byFeature = (a, b) => a.feature - b.feature || a.difference - b.difference;

/**
 * Applies the plan's clamps to the coded rows of a slab.
 * @param {Mode} mode
 * @param {readonly Clamp[]} clamps
 * @param {Variant} variant
 * @param {Decoder} decoder
 * @param {Slab} slab
 * @returns {ClampedSlab}
 */
export function clampSlab(mode, clamps, variant, decoder, slab) {
  const { hidden, codes, codedRows, clampsAt } = slab;
  const { width } = decoder;
  const output = hidden.slice();
  const reference = mode === "reconstruct" ? hidden.slice() : hidden;
  /** @type {Change[]} */
  const changes = [];
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
    for (let j = 0; j < width; j++) {
      output[offset + j] = /** @type {number} */ (output[offset + j]) + /** @type {number} */ (delta[j]);
    }
  });
  return { output, reference, changes };
}
