/**
 * What goes to the runtime's thread and comes back with each clamped token, as few flat arrays: objects inside objects take as long to copy as the clamps to
 * compute.
 */

/** @typedef {import("./token-hook.mjs").TokenClamps} TokenClamps */
/** @typedef {import("./runtime").HookReport} HookReport */

const ops = /** @type {const} */ (["set", "scale", "add", "ablate"]);
const kinds = /** @type {const} */ (["asked", "negated", "random"]);

/** Numbers of one clamp: feature, op, value, unit, substitute. */
const clampSize = 5;
/** Numbers of one change: row, clamp, feature, before, difference. */
const changeSize = 5;

/** @typedef {number[] | null} WiredArm Whether it reconstructs, its variant, then its clamps. */

/**
 * @param {readonly (TokenClamps | null)[]} arms
 * @returns {WiredArm[]}
 */
export function wireArms(arms) {
  return arms.map((arm) => {
    if (!arm) return null;
    const { mode, clamps, variant } = arm;
    const numbers = [mode === "reconstruct" ? 1 : 0, kinds.indexOf(variant.kind)];
    clamps.forEach(({ intervention: { feature, op, value }, unitActivation }, i) => {
      const substitute = variant.kind === "random" ? /** @type {number} */ (variant.substitutes[i]) : -1;
      numbers.push(feature, ops.indexOf(op), value, unitActivation, substitute);
    });
    return numbers;
  });
}

/**
 * @param {WiredArm[]} wired
 * @returns {(TokenClamps | null)[]}
 */
export function armsOf(wired) {
  return wired.map((numbers) => {
    if (!numbers) return null;
    /** @type {import("@/lib/core/clamp-arithmetic.mjs").Clamp[]} */
    const clamps = [];
    const substitutes = [];
    for (let i = 2; i < numbers.length; i += clampSize) {
      const [feature, op, value, unitActivation, substitute] = /** @type {[number, number, number, number, number]} */ (
        numbers.slice(i, i + clampSize)
      );
      clamps.push({ intervention: { feature, op: ops[op] ?? "set", value }, unitActivation });
      substitutes.push(substitute);
    }
    const kind = kinds[/** @type {number} */ (numbers[1])] ?? "asked";
    return { mode: numbers[0] === 1 ? "reconstruct" : "delta", clamps, variant: kind === "random" ? { kind, substitutes } : { kind } };
  });
}

/**
 * @typedef {object} WiredReport
 * @property {Float32Array} hidden [arms, width]
 * @property {Float32Array} output [arms, width]
 * @property {Float32Array | null} reference [arms, width]; null where it is `hidden` itself
 * @property {ArrayLike<number> & { slice(from: number, to: number): Iterable<number> }} changes
 * @property {HookReport["codes"] | null} codes Null where they are not listed.
 * @property {HookReport["after"] | null} after
 */

/**
 * @param {Float32Array} hidden
 * @param {Float32Array} output
 * @param {HookReport} report
 * @param {boolean} listed
 * @returns {WiredReport}
 */
export function wireReport(hidden, output, { states, slabs, codes, after }, listed) {
  const apart = slabs.some(({ reference }, i) => reference !== states[i]);
  let reference = null;
  if (apart) {
    reference = new Float32Array(hidden.length);
    for (const [i, slab] of slabs.entries()) reference.set(slab.reference, i * slab.reference.length);
  }
  const changes = slabs.flatMap((slab, arm) =>
    slab.changes.flatMap(({ clamp, feature, before, difference }) => [arm, clamp, feature, before, difference]),
  );
  return { hidden, output, reference, changes, codes: listed ? codes : null, after: listed ? after : null };
}

/**
 * @param {WiredReport} wired
 * @param {number} arms
 * @returns {HookReport}
 */
export function reportOf({ hidden, output, reference, changes, codes, after }, arms) {
  const width = hidden.length / arms;
  const rowsOf = (/** @type {Float32Array} */ rows) => Array.from({ length: arms }, (_, i) => rows.subarray(i * width, (i + 1) * width));
  const states = rowsOf(hidden);
  const references = reference ? rowsOf(reference) : states;
  const slabs = rowsOf(output).map((row, i) => ({
    output: row,
    reference: /** @type {Float32Array} */ (references[i]),
    changes: /** @type {import("@/lib/core/clamp-arithmetic.mjs").Change[]} */ ([]),
  }));
  for (let i = 0; i < changes.length; i += changeSize) {
    const [arm, clamp, feature, before, difference] = /** @type {[number, number, number, number, number]} */ ([
      ...changes.slice(i, i + changeSize),
    ]);
    slabs[arm]?.changes.push({ clamp, row: 0, feature, before, difference });
  }
  return { states, slabs, codes: codes ?? [], after: after ?? [] };
}

/**
 * @param {import("./draft.mjs").DraftReport} report
 * @returns {import("./runtime").Checked}
 */
export function checkedOf({ wrong, tokens, members, hidden, output, changes }) {
  const rows = tokens.length;
  const { states, slabs } = reportOf({ hidden, output, reference: null, changes, codes: null, after: null }, Math.max(rows, 1));
  /** @type {import("./runtime").Checked["tokens"]} */
  const checked = [];
  for (let row = 0; row < rows; row++) {
    const token = /** @type {number} */ (tokens[row]);
    const state = /** @type {Float32Array} */ (states[row]);
    const slab = /** @type {import("@/lib/core/clamp-arithmetic.mjs").ClampedSlab} */ (slabs[row]);
    checked[token] ??= new Map();
    checked[token].set(/** @type {number} */ (members[row]), { state, slab });
  }
  return { wrong: wrong < 0 ? null : wrong, tokens: checked };
}
