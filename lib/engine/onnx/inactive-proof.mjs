/**
 * That a feature's activation on a state is zero, without the encoder: either its value before ReLU and TopK is below zero, or k others lie above it.
 * Both hold only by more than float32 arithmetic in any order could be wrong by, so a proof never differs from what the encoder gives. It costs a scalar
 * product for each feature that is asked about and some dozens for others, where the encoder costs one a latent.
 */

/** Tokens for which a question is not tried again after a failure, at most: some features fire on every token. */
const longestRest = 32;
/** Rests are remembered for so many questions. */
const questions = 64;

export class InactiveProof {
  /** @param {import("./token-hook.mjs").HookWeights} weights */
  constructor({ k, width, encoder, decoder }) {
    this.k = k;
    this.encoder = encoder;
    this.shift = decoder.bias;
    this.centred = new Float64Array(width);
    /** ‖W_enc[feature]‖, 0 where not known yet. */
    this.norms = new Float64Array(encoder.bias.length);
    /** Relative to ‖W_enc[feature]‖ · ‖state − b_dec‖, twice what rounding can add up to. */
    this.slack = 2 * (width + 8) * 2 ** -24;
    /** Features that were active lately, those that were so most often first. */
    /** @type {number[]} */
    this.candidates = [];
    this.hits = new Uint32Array(encoder.bias.length);
    /** By question: tokens to pass by, and how many the next failure costs. */
    /** @type {Map<string, { left: number, next: number }>} */
    this.rests = new Map();
  }

  /**
   * Whether all of `features` are surely inactive on a state [width]. False says nothing.
   * @param {number[]} features
   * @param {Float32Array} state
   * @returns {boolean}
   */
  holds(features, state) {
    const question = features.join();
    const rest = this.rests.get(question);
    if (rest && rest.left > 0) {
      rest.left--;
      return false;
    }
    const held = this.prove(features, state);
    if (held) this.rests.delete(question);
    else {
      if (this.rests.size >= questions) this.rests.clear();
      const next = rest ? Math.min(2 * rest.next, longestRest) : 1;
      this.rests.set(question, { left: rest ? next : 0, next });
    }
    return held;
  }

  /**
   * @param {number[]} features
   * @param {Float32Array} state
   */
  prove(features, state) {
    const { centred, shift, candidates } = this;
    let squares = 0;
    for (let j = 0; j < centred.length; j++) {
      const x = /** @type {number} */ (state[j]) - /** @type {number} */ (shift[j]);
      centred[j] = x;
      squares += x * x;
    }
    const size = Math.sqrt(squares);
    // Where float32 overflows it gives other numbers than double precision.
    if (!(size < 1e30)) return false;
    let highest = Number.NEGATIVE_INFINITY;
    for (const feature of features) highest = Math.max(highest, this.value(feature) + this.doubt(feature, size));
    if (highest < 0) return true;
    let above = 0;
    for (let i = 0; i < candidates.length && above + candidates.length - i >= this.k; i++) {
      const candidate = /** @type {number} */ (candidates[i]);
      if (!(this.value(candidate) - this.doubt(candidate, size) > highest)) continue;
      this.promote(i);
      if (++above === this.k) return true;
    }
    return false;
  }

  /**
   * The latent of the state in `centred` before ReLU, in double precision.
   * @param {number} feature
   */
  value(feature) {
    const { centred } = this;
    const row = this.encoder.row(feature);
    let [a, b] = [/** @type {number} */ (this.encoder.bias[feature]), 0];
    // Two sums: each addition would wait for the one before.
    const even = centred.length & ~1;
    for (let j = 0; j < even; j += 2) {
      a += /** @type {number} */ (row[j]) * /** @type {number} */ (centred[j]);
      b += /** @type {number} */ (row[j + 1]) * /** @type {number} */ (centred[j + 1]);
    }
    if (even < centred.length) a += /** @type {number} */ (row[even]) * /** @type {number} */ (centred[even]);
    return a + b;
  }

  /**
   * How far the encoder's float32 value may lie from `value`, for a state of norm `size` about b_dec.
   * @param {number} feature
   * @param {number} size
   */
  doubt(feature, size) {
    let norm = /** @type {number} */ (this.norms[feature]);
    if (norm === 0) {
      let squares = 0;
      for (const x of this.encoder.row(feature)) squares += x * x;
      norm = Math.sqrt(squares);
      this.norms[feature] = norm;
    }
    return this.slack * (norm * size + Math.abs(/** @type {number} */ (this.encoder.bias[feature])));
  }

  /**
   * Notes which features the encoder found active.
   * @param {import("@/lib/core/clamp-arithmetic.mjs").Codes} codes
   */
  learn({ indices, values }) {
    const { candidates } = this;
    for (const [i, feature] of indices.entries()) {
      const value = /** @type {number} */ (values[i]);
      if (!(value > 0)) continue;
      let place = candidates.indexOf(feature);
      if (place < 0) {
        // The least useful of a full list makes room.
        if (candidates.length >= 4 * this.k) candidates.pop();
        place = candidates.push(feature) - 1;
      }
      this.promote(place);
    }
  }

  /** @param {number} place */
  promote(place) {
    const { candidates, hits } = this;
    const feature = /** @type {number} */ (candidates[place]);
    const count = /** @type {number} */ (hits[feature]) + 1;
    hits[feature] = count;
    let to = place;
    const hitsAt = (/** @type {number} */ at) => /** @type {number} */ (hits[/** @type {number} */ (candidates[at])]);
    while (to > 0 && hitsAt(to - 1) < count) {
      candidates[to] = /** @type {number} */ (candidates[to - 1]);
      to--;
    }
    candidates[to] = feature;
  }
}
