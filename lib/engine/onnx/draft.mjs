/**
 * Clamps on generated tokens without the encoder at each: which of the clamped features are among the token's k largest latents is guessed, and the encoder says
 * of several tokens at once whether it was so. One read of its weights serves them all, and they are most of what a clamped token costs.
 *
 * Nothing here is approximate. A clamped feature's own latent is computed in the encoder's own order, so that it has the encoder's own bits; what was guessed is
 * its rank alone; a token's changes are given out only once the encoder has given every activation that they were made from, bit by bit. From the first
 * token where it does not, whoever writes the tokens has to go back (see lockstep.ts). Plain JavaScript, in the runtime's thread, like token-hook.mjs.
 */
import { activationAt, differenceOf, substituteGain } from "../../core/clamp-arithmetic.mjs";

/** @typedef {import("./token-hook.mjs").HookWeights} HookWeights */
/** @typedef {import("./token-hook.mjs").TokenClamps} TokenClamps */
/** @typedef {import("./token-hook.mjs").Encode} Encode */

/**
 * For tests: between which multiples of a state's norm a latent counts as unsure, in place of what was learnt.
 * @typedef {{ low: number, high: number }} Bounds
 */

/**
 * What the encoder said of the tokens since the last report; a row for each clamped member of each.
 * @typedef {object} DraftReport
 * @property {number} wrong The first token whose guess was wrong, counted from 0; -1 where none was. Rows are of those before it.
 * @property {Int32Array} tokens Each row's token.
 * @property {Int32Array} members Each row's member, as its arm's index.
 * @property {Float32Array} hidden [rows, width], as they came.
 * @property {Float32Array} output [rows, width], what the upper half was fed.
 * @property {Float64Array} changes Row, clamp, feature, before and difference of each change.
 */

const f32 = Math.fround;
/** Features side by side in a slab, one sum for each. */
const lanes = 8;
/** Tokens whose k-th latents are remembered, and how many must be before anything is guessed. */
const memory = 128;
const fewest = 16;
/** Beyond this the encoder is no dearer than the features' own products. */
const mostRead = 256;
/** Rows of weights in all that tokens between two reports may have. */
const mostRows = 64;

/** Where the k-th largest latent lies, as a multiple of the norm of the state that is encoded: between the least and the largest of late. */
export class RankBounds {
  constructor() {
    this.low = 0;
    this.high = Number.POSITIVE_INFINITY;
    this.late = new Float64Array(memory);
    this.count = 0;
    /** The encoder's sums are not formed here as it forms them (other processors may not): every guess would be wrong. */
    this.useless = false;
    /** Activations that had the encoder's bits and that had not: a sum that is rounded twice differs once in a billion steps, which says nothing. */
    this.same = 0;
    this.other = 0;
  }

  /** @param {number} ratio */
  learn(ratio) {
    this.late[this.count++ % memory] = ratio;
  }

  settle() {
    const known = Math.min(this.count, memory);
    if (known < fewest) return;
    let low = Number.POSITIVE_INFINITY;
    let high = 0;
    for (let i = 0; i < known; i++) {
      const ratio = /** @type {number} */ (this.late[i]);
      if (ratio < low) low = ratio;
      if (ratio > high) high = ratio;
    }
    this.low = low;
    this.high = high;
  }
}

/**
 * Rows of a matrix, transposed in groups of `lanes`: [groups, width, lanes], so that one walk reads them in their order. Missing ones are zero.
 * @param {number[]} features
 * @param {number} width
 * @param {(feature: number) => Float32Array} row
 */
function slabOf(features, width, row) {
  const slab = new Float32Array(Math.ceil(features.length / lanes) * width * lanes);
  for (const [i, feature] of features.entries()) {
    const from = Math.floor(i / lanes) * width * lanes + (i % lanes);
    for (const [j, x] of row(feature).entries()) slab[from + j * lanes] = x;
  }
  return slab;
}

/** An arm's clamps, with all that a token needs of the dictionary side by side. */
class DraftArm {
  /**
   * @param {HookWeights} weights
   * @param {TokenClamps} arm
   */
  constructor({ width, encoder, decoder }, { clamps, variant }) {
    this.width = width;
    this.kind = variant.kind;
    const writes = clamps.map(({ intervention }, i) => (variant.kind === "random" ? (variant.substitutes[i] ?? -1) : intervention.feature));
    /** The clamps' indices in the order of the features that they write, which is that of the sum. */
    this.order = [...clamps.keys()].sort((a, b) => /** @type {number} */ (writes[a]) - /** @type {number} */ (writes[b]));
    this.clamps = this.order.map((i) => /** @type {import("../../core/clamp-arithmetic.mjs").Clamp} */ (clamps[i]));
    this.written = this.order.map((i) => /** @type {number} */ (writes[i]));
    const own = this.clamps.map(({ intervention }) => intervention.feature);
    this.gains = own.map((feature, i) => substituteGain(decoder, feature, /** @type {number} */ (this.written[i])));
    /** Features whose activations are needed: the clamped ones, then what is written in their place. */
    this.read = variant.kind === "random" ? [...own, ...this.written] : own;
    this.encoder = slabOf(this.read, width, encoder.row);
    this.bias = Float32Array.from(this.read, (feature) => encoder.bias[feature] ?? 0);
    this.shift = decoder.bias;
    this.decoder = slabOf(this.written, width, decoder.row);
    this.latents = new Float32Array(Math.ceil(this.read.length / lanes) * lanes);
    this.differences = new Float32Array(Math.ceil(clamps.length / lanes) * lanes);
    this.sum = new Float32Array(width);
  }

  /**
   * The features' latents before ReLU on the state at `from`, in `latents`; returns the norm of the state about b_dec. Each sum is formed like the runtime's: one
   * product after the other, each fused with its addition (a double holds the product of two float32 numbers exactly), and the bias last.
   * @param {Float32Array} states
   * @param {number} from
   */
  look(states, from) {
    const { width, encoder, shift, bias, latents, read } = this;
    let squares = 0;
    for (let group = 0, o = 0; group < latents.length; group += lanes) {
      let [a, b, c, d, e, f, g, h] = [0, 0, 0, 0, 0, 0, 0, 0];
      squares = 0;
      for (let j = 0; j < width; j++, o += lanes) {
        const x = f32(/** @type {number} */ (states[from + j]) - /** @type {number} */ (shift[j]));
        squares += x * x;
        a = f32(a + x * /** @type {number} */ (encoder[o]));
        b = f32(b + x * /** @type {number} */ (encoder[o + 1]));
        c = f32(c + x * /** @type {number} */ (encoder[o + 2]));
        d = f32(d + x * /** @type {number} */ (encoder[o + 3]));
        e = f32(e + x * /** @type {number} */ (encoder[o + 4]));
        f = f32(f + x * /** @type {number} */ (encoder[o + 5]));
        g = f32(g + x * /** @type {number} */ (encoder[o + 6]));
        h = f32(h + x * /** @type {number} */ (encoder[o + 7]));
      }
      latents[group] = a;
      latents[group + 1] = b;
      latents[group + 2] = c;
      latents[group + 3] = d;
      latents[group + 4] = e;
      latents[group + 5] = f;
      latents[group + 6] = g;
      latents[group + 7] = h;
    }
    for (let i = 0; i < read.length; i++) latents[i] = /** @type {number} */ (latents[i]) + /** @type {number} */ (bias[i]);
    return Math.sqrt(squares);
  }

  /**
   * Adds to the state at `from` what the clamps ask for where the activations are those of `used` from `at`; float32 at each step, as clamp-arithmetic.mjs.
   * @param {Float32Array} states
   * @param {number} from
   * @param {Float32Array} used
   * @param {number} at
   */
  write(states, from, used, at) {
    const { width, decoder, differences, clamps, kind, gains, sum } = this;
    let any = false;
    for (let i = 0; i < clamps.length; i++) {
      const clamp = /** @type {import("../../core/clamp-arithmetic.mjs").Clamp} */ (clamps[i]);
      const difference = differenceOf(clamp, kind, /** @type {number} */ (used[at + i]), /** @type {number} */ (gains[i]));
      differences[i] = difference;
      if (difference !== 0) any = true;
    }
    if (!any) return;
    const last = differences.length - lanes;
    for (let group = 0, o = 0; group <= last; group += lanes) {
      const a = /** @type {number} */ (differences[group]);
      const b = /** @type {number} */ (differences[group + 1]);
      const c = /** @type {number} */ (differences[group + 2]);
      const d = /** @type {number} */ (differences[group + 3]);
      const e = /** @type {number} */ (differences[group + 4]);
      const f = /** @type {number} */ (differences[group + 5]);
      const g = /** @type {number} */ (differences[group + 6]);
      const h = /** @type {number} */ (differences[group + 7]);
      for (let j = 0; j < width; j++, o += lanes) {
        let x = group === 0 ? 0 : /** @type {number} */ (sum[j]);
        x = f32(x + f32(a * /** @type {number} */ (decoder[o])));
        x = f32(x + f32(b * /** @type {number} */ (decoder[o + 1])));
        x = f32(x + f32(c * /** @type {number} */ (decoder[o + 2])));
        x = f32(x + f32(d * /** @type {number} */ (decoder[o + 3])));
        x = f32(x + f32(e * /** @type {number} */ (decoder[o + 4])));
        x = f32(x + f32(f * /** @type {number} */ (decoder[o + 5])));
        x = f32(x + f32(g * /** @type {number} */ (decoder[o + 6])));
        x = f32(x + f32(h * /** @type {number} */ (decoder[o + 7])));
        if (group < last) sum[j] = x;
        else states[from + j] = /** @type {number} */ (states[from + j]) + x;
      }
    }
  }
}

/**
 * Whether tokens of an arm can be drafted: in mode `delta`, with clamps that write a feature each.
 * @param {TokenClamps} arm
 */
export function canDraft({ mode, clamps, variant }) {
  const written = variant.kind === "random" ? variant.substitutes : clamps.map(({ intervention }) => intervention.feature);
  return mode === "delta" && new Set(written).size === clamps.length && 2 * clamps.length <= mostRead;
}

export class Draft {
  /**
   * @param {HookWeights} weights
   * @param {Encode} encode
   * @param {RankBounds} bounds What is known of the dictionary; learnt from every run.
   * @param {readonly (TokenClamps | null)[]} arms
   * @param {Bounds | null} forced
   */
  constructor(weights, encode, bounds, arms, forced = null) {
    this.width = weights.width;
    this.k = weights.k;
    this.encode = encode;
    this.bounds = bounds;
    this.forced = forced;
    this.arms = arms.map((arm) => arm && new DraftArm(weights, arm));
    this.stride = Math.max(1, ...this.arms.map((arm) => arm?.read.length ?? 0));
    this.states = new Float32Array(mostRows * this.width);
    this.outputs = new Float32Array(mostRows * this.width);
    this.used = new Float32Array(mostRows * this.stride);
    this.norms = new Float64Array(mostRows);
    this.members = new Int32Array(mostRows);
    this.tokens = new Int32Array(mostRows);
    this.rows = 0;
    this.token = 0;
  }

  /**
   * Clamps the states of one token of some members in place. Answers null where that was guessed; where it was asked to `check`, or cannot guess, what the
   * encoder says of this token and those before. A report that something was `wrong` leaves this token's states as they came.
   * @param {Float32Array} states [members, width]; empty to be told of those before only
   * @param {readonly number[]} members Their arms' indices.
   * @param {boolean} check
   * @returns {Promise<DraftReport | null>}
   */
  async step(states, members, check) {
    const first = this.rows;
    let sure = !check && !this.bounds.useless && first + 2 * members.length <= mostRows;
    for (let i = 0; i < members.length; i++) {
      const member = /** @type {number} */ (members[i]);
      const arm = this.arms[member];
      if (arm && !this.guess(arm, member, states, i * this.width)) sure = false;
    }
    this.token++;
    if (sure) {
      this.apply(states, members, first);
      return null;
    }
    const wrong = this.rows ? await this.judge(first) : -1;
    if (wrong < 0) this.apply(states, members, first);
    return this.report(wrong);
  }

  /**
   * Notes a state and what its clamped features' activations seem to be; false where that cannot be told.
   * @param {DraftArm} arm
   * @param {number} member
   * @param {Float32Array} states
   * @param {number} from
   */
  guess(arm, member, states, from) {
    const row = this.rows++;
    this.members[row] = member;
    this.tokens[row] = this.token;
    for (let j = 0, to = row * this.width; j < this.width; j++) this.states[to + j] = /** @type {number} */ (states[from + j]);
    const norm = arm.look(states, from);
    this.norms[row] = norm;
    const { low, high } = this.forced ?? this.bounds;
    let sure = norm < 1e30;
    for (let i = 0, at = row * this.stride; i < arm.read.length; i++) {
      const latent = /** @type {number} */ (arm.latents[i]);
      const active = latent > 0 && latent > low * norm;
      this.used[at + i] = active ? latent : 0;
      if (active && !(latent >= high * norm)) sure = false;
    }
    return sure;
  }

  /**
   * Clamps the members' states, whose rows begin at `first`.
   * @param {Float32Array} states
   * @param {readonly number[]} members
   * @param {number} first
   */
  apply(states, members, first) {
    let row = first;
    for (let i = 0; i < members.length; i++) {
      const arm = this.arms[/** @type {number} */ (members[i])];
      if (!arm) continue;
      const from = i * this.width;
      arm.write(states, from, this.used, row * this.stride);
      for (let j = 0, to = row * this.width; j < this.width; j++) this.outputs[to + j] = /** @type {number} */ (states[from + j]);
      row++;
    }
  }

  /**
   * Puts the encoder's activations in the place of those guessed; the first token before the rows from `first` of which one was not the same.
   * @param {number} first
   */
  async judge(first) {
    const rows = this.rows;
    const codes = await this.encode([this.states.subarray(0, rows * this.width)]);
    let wrong = -1;
    for (let row = 0; row < rows && wrong < 0; row++) {
      const arm = /** @type {DraftArm} */ (this.arms[/** @type {number} */ (this.members[row])]);
      for (const [i, feature] of arm.read.entries()) {
        const at = row * this.stride + i;
        const activation = activationAt(codes, row, feature);
        const guessed = /** @type {number} */ (this.used[at]);
        if (guessed === activation) {
          if (guessed > 0) this.bounds.same++;
          continue;
        }
        if (guessed > 0 && activation > 0 && ++this.bounds.other > this.bounds.same / 64) this.bounds.useless = true;
        if (row < first) wrong = /** @type {number} */ (this.tokens[row]);
        this.used[at] = activation;
      }
      this.bounds.learn(/** @type {number} */ (codes.values[(row + 1) * this.k - 1]) / /** @type {number} */ (this.norms[row]));
    }
    this.bounds.settle();
    return wrong;
  }

  /**
   * @param {number} wrong
   * @returns {DraftReport}
   */
  report(wrong) {
    let rows = this.rows;
    while (wrong >= 0 && rows > 0 && /** @type {number} */ (this.tokens[rows - 1]) >= wrong) rows--;
    const changes = [];
    for (let row = 0; row < rows; row++) {
      const arm = /** @type {DraftArm} */ (this.arms[/** @type {number} */ (this.members[row])]);
      const beforeAt = row * this.stride + arm.read.length - arm.clamps.length;
      for (const [i, clamp] of arm.clamps.entries()) {
        const own = /** @type {number} */ (this.used[row * this.stride + i]);
        const difference = differenceOf(clamp, arm.kind, own, /** @type {number} */ (arm.gains[i]));
        changes.push(
          row,
          /** @type {number} */ (arm.order[i]),
          /** @type {number} */ (arm.written[i]),
          this.used[beforeAt + i] ?? 0,
          difference,
        );
      }
    }
    const report = {
      wrong,
      tokens: this.tokens.slice(0, rows),
      members: this.members.slice(0, rows),
      hidden: this.states.slice(0, rows * this.width),
      output: this.outputs.slice(0, rows * this.width),
      changes: Float64Array.from(changes),
    };
    this.rows = 0;
    this.token = 0;
    return report;
  }
}
