/**
 * Clamps on generated tokens at the hook, one row for each arm that writes. Plain JavaScript: it runs in the runtime's thread, between the lower half and the
 * upper, so that a token takes one exchange with that thread; and in the engine's own where a test looks on.
 */
import { clampSlab, codesOfRow, noCodes } from "../../core/clamp-arithmetic.mjs";
import { InactiveProof } from "./inactive-proof.mjs";

/** @typedef {import("@/lib/core/clamp-arithmetic.mjs").Codes} Codes */
/** @typedef {import("@/lib/core/clamp-arithmetic.mjs").ClampedSlab} ClampedSlab */

/**
 * A dictionary's tensors in memory that threads share: `encoder` and `decoder` are [numLatents, width].
 * @typedef {{ k: number, width: number, encoder: Float32Array, encoderBias: Float32Array, decoder: Float32Array, decoderBias: Float32Array }} SharedWeights
 */

/**
 * @typedef {object} HookWeights
 * @property {number} k
 * @property {number} width
 * @property {{ row(feature: number): Float32Array, bias: Float32Array }} encoder
 * @property {import("@/lib/core/clamp-arithmetic.mjs").Decoder} decoder
 */

/**
 * What an arm does to each generated token; null where it does nothing. `random` substitutes stand in the order of `clamps`.
 * @typedef {object} TokenClamps
 * @property {import("@/lib/core/protocol").Mode} mode
 * @property {import("@/lib/core/clamp-arithmetic.mjs").Clamp[]} clamps
 * @property {import("@/lib/core/clamp-arithmetic.mjs").Variant} variant
 */

/**
 * What came of one pass: `slabs` has one a row, [width] each; `codes` those of the states as they came, where they were needed.
 * @typedef {{ slabs: ClampedSlab[], codes: Codes[] }} ClampedTokens
 */

/** @typedef {(states: Float32Array[]) => Promise<Codes>} Encode */

/**
 * @param {SharedWeights} weights
 * @returns {HookWeights}
 */
export function hookWeights({ k, width, encoder, encoderBias, decoder, decoderBias }) {
  /** @type {(rows: Float32Array) => (feature: number) => Float32Array} */
  const rowOf = (rows) => (feature) => rows.subarray(feature * width, (feature + 1) * width);
  return { k, width, encoder: { row: rowOf(encoder), bias: encoderBias }, decoder: { width, row: rowOf(decoder), bias: decoderBias } };
}

export class TokenHook {
  /**
   * @param {HookWeights} weights
   * @param {Encode} encode
   */
  constructor(weights, encode) {
    this.weights = weights;
    this.encode = encode;
    this.proof = new InactiveProof(weights);
  }

  /**
   * Clamps some arms' states, each [width]. `listed`: codes of all states are wanted, whether or not a clamp needs them.
   * @param {Float32Array[]} states
   * @param {readonly (TokenClamps | null)[]} arms
   * @param {boolean} listed
   * @returns {Promise<ClampedTokens>}
   */
  async clamp(states, arms, listed) {
    const needed = states.map((state, i) => listed || this.needsCodes(arms[i] ?? null, state));
    const codes = await this.codesOf(states, needed);
    const slabs = states.map((state, i) => {
      const arm = arms[i];
      if (!arm) return { output: state, reference: state, changes: [] };
      const { mode, clamps, variant } = arm;
      const slab = { hidden: state, codedRows: [0], codes: codes[i] ?? noCodes, clampsAt: () => [...clamps.keys()] };
      return clampSlab(mode, clamps, variant, this.weights.decoder, slab);
    });
    return { slabs, codes };
  }

  /**
   * Codes of what the upper half is given: those of the states as they came where nothing moved.
   * @param {Float32Array[]} states
   * @param {ClampedTokens} clamped
   * @returns {Promise<Codes[]>}
   */
  async codesAfter(states, { slabs, codes }) {
    const outputs = slabs.map(({ output }) => output);
    const moved = outputs.map((output, i) => output !== states[i] && output.some((x, j) => x !== states[i]?.[j]));
    const again = await this.codesOf(outputs, moved);
    return codes.map((own, i) => (moved[i] ? /** @type {Codes} */ (again[i]) : own));
  }

  /**
   * @param {TokenClamps | null} arm
   * @param {Float32Array} state
   */
  needsCodes(arm, state) {
    if (!arm) return false;
    const { mode, clamps, variant } = arm;
    if (mode === "reconstruct") return true;
    const own = clamps.map(({ intervention }) => intervention.feature);
    return !this.proof.holds(variant.kind === "random" ? [...own, ...variant.substitutes] : own, state);
  }

  /**
   * Codes of the states that need them, all in one pass; those of no state for the rest.
   * @param {Float32Array[]} states
   * @param {boolean[]} needed
   * @returns {Promise<Codes[]>}
   */
  async codesOf(states, needed) {
    const chosen = states.filter((_, i) => needed[i]);
    if (chosen.length === 0) return states.map(() => noCodes);
    const all = await this.encode(chosen);
    this.proof.learn(all);
    let row = 0;
    return needed.map((wanted) => (wanted ? codesOfRow(all, row++) : noCodes));
  }
}

/**
 * Rows as one array.
 * @param {readonly Float32Array[]} rows
 * @returns {Float32Array}
 */
export function joined(rows) {
  const [first] = rows;
  if (rows.length === 1 && first) return first;
  const width = first?.length ?? 0;
  const all = new Float32Array(rows.length * width);
  for (const [i, row] of rows.entries()) all.set(row, i * width);
  return all;
}
