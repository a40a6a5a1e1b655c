/**
 * What an arm did. Changes are counted by comparing, bit by bit, what the upper half was given with what it would have been given without
 * clamps, so that a clamp which is lost on the way is not counted.
 */
import { type ClampPlan, kindOf, type PositionKind } from "./clamp";
import { activationAt, type ClampedSlab, type Codes } from "./clamp-arithmetic.mjs";
import type { Arm, ClampReceipt, Mode, Receipt } from "./protocol";

type Count = { planned: number; changed: number };
type Counts = Record<PositionKind, Count>;

const noCounts = (): Counts => ({
  image: { planned: 0, changed: 0 },
  prompt: { planned: 0, changed: 0 },
  generated: { planned: 0, changed: 0 },
});

interface ClampTally {
  feature: number;
  counts: Counts;
  before: number;
  after: number;
  /** Positions at which a change other than zero was asked for. */
  asked: number;
  /** Sum of the activations that are found again where no state had to be encoded for it, and the states that have to, by their place. */
  found: number;
  restated: { state: number; feature: number }[];
}

/** The part of a receipt that the ledger knows. */
export type Tally = Pick<Receipt, "outcome" | "reason" | "clamps" | "prefill" | "decode" | "relativeNorm">;

export class ReceiptLedger {
  private readonly counts = noCounts();
  private readonly tallies: ClampTally[];
  private relativeNorms = 0;
  /** States that the upper half was given in place of others, each [width]. */
  private readonly states: Float32Array[] = [];

  constructor(
    private readonly plan: ClampPlan,
    private readonly arm: Arm,
    private readonly mode: Mode,
  ) {
    this.tallies = plan.clamps.map(({ intervention }) => ({
      feature: intervention.feature,
      counts: noCounts(),
      before: 0,
      after: 0,
      asked: 0,
      found: 0,
      restated: [],
    }));
  }

  /**
   * Counts one slab. `output` is what the upper half is given, `hidden` the model's own states (both [rows, width]), `first` the position of row 0.
   */
  record(slab: ClampedSlab, output: Float32Array, hidden: Float32Array, width: number, first: number): void {
    const changed = new Map<number, boolean>();
    const stateOf = new Map<number, number>();
    for (const change of slab.changes) {
      const { row } = change;
      const kind = kindOf(this.plan.layout, first + row);
      let moved = changed.get(row);
      if (moved === undefined) {
        moved = this.compare(output, slab.reference, hidden, row * width, width);
        changed.set(row, moved);
        this.counts[kind].planned++;
        if (moved) this.counts[kind].changed++;
      }
      const tally = this.tallies[change.clamp] as ClampTally;
      tally.feature = change.feature;
      tally.before += change.before;
      tally.after += Math.fround(change.before + change.difference);
      tally.counts[kind].planned++;
      if (!moved && this.mode === "delta") tally.found += change.before;
      else {
        let state = stateOf.get(row);
        if (state === undefined) {
          state = this.states.push(output.slice(row * width, (row + 1) * width)) - 1;
          stateOf.set(row, state);
        }
        tally.restated.push({ state, feature: change.feature });
      }
      if (change.difference === 0) continue;
      tally.asked++;
      if (moved) tally.counts[kind].changed++;
    }
  }

  private compare(output: Float32Array, reference: Float32Array, hidden: Float32Array, offset: number, width: number): boolean {
    let moved = false;
    let change = 0;
    let size = 0;
    for (let i = offset; i < offset + width; i++) {
      const difference = (output[i] as number) - (reference[i] as number);
      if (difference !== 0) moved = true;
      change += difference * difference;
      size += (hidden[i] as number) ** 2;
    }
    if (moved) this.relativeNorms += Math.sqrt(change / size);
    return moved;
  }

  /** The first clamp that covered no position at all, e.g. generated tokens where none was written; null when each covered some. */
  unappliedClamp(): number | null {
    const index = this.tallies.findIndex(({ counts }) => planned(counts) === 0);
    return index < 0 ? null : index;
  }

  /** States at clamped positions that differ from the model's own, [N, width], to be encoded again for `tally`. */
  changedStates(): Float32Array {
    const width = this.states[0]?.length ?? 0;
    const all = new Float32Array(this.states.length * width);
    this.states.forEach((state, i) => {
      all.set(state, i * width);
    });
    return all;
  }

  /** `again`: the codes of `changedStates()`. */
  tally(again: Codes): Tally {
    const { image, prompt, generated } = this.counts;
    const changed = image.changed + prompt.changed + generated.changed;
    const clamps = this.tallies.map((tally, index) => this.clampReceipt(tally, index, again));
    const control = this.arm === "baseline" || this.arm === "reconstruction" ? this.arm : null;
    const outcome = control ?? (changed > 0 ? "steered" : "unchanged");
    return {
      outcome,
      reason: outcome === "unchanged" ? this.reason() : null,
      clamps,
      prefill: { image, text: prompt },
      decode: generated,
      relativeNorm: changed > 0 ? this.relativeNorms / changed : null,
    };
  }

  private clampReceipt({ feature, counts, before, after, found, restated }: ClampTally, index: number, again: Codes): ClampReceipt {
    const { intervention, unitActivation } = this.plan.clamps[index] as ClampPlan["clamps"][number];
    const { op, value, unit, scope } = intervention;
    const positions = planned(counts);
    const n = Math.max(positions, 1);
    const reencoded = restated.reduce((sum, { state, feature: row }) => sum + activationAt(again, state, row), found);
    const means = { meanBefore: before / n, meanAfter: after / n, meanReencoded: positions > 0 ? reencoded / n : null };
    return { feature, op, value, unit, unitActivation, scope, ...counts, ...means };
  }

  private reason(): string {
    if (this.tallies.length === 0) {
      return this.mode === "reconstruct" ? "no clamp was given; only the dictionary's reconstruction acts" : "no clamp was given";
    }
    if (this.tallies.some(({ asked }) => asked > 0)) return "the changes asked for did not alter the hidden state";
    if (this.tallies.every(({ counts }) => planned(counts) === 0))
      return "the answer ended before a generated token passed through the hook";
    const [only] = this.tallies;
    if (this.tallies.length > 1 || !only) return "every clamp asks for the activation that is already there";
    const positions = planned(only.counts);
    const where = positions === 1 ? "the position that the clamp covers" : `all ${positions} positions that the clamp covers`;
    const { op } = (this.plan.clamps[0] as ClampPlan["clamps"][number]).intervention;
    if (only.before === 0 && op === "ablate") return `feature ${only.feature} is inactive at ${where}, so there is nothing to ablate`;
    if (only.before === 0 && op === "scale") return `feature ${only.feature} is inactive at ${where}, so there is nothing to scale`;
    return `feature ${only.feature} already has the requested activation at ${where}`;
  }
}

function planned({ image, prompt, generated }: Counts): number {
  return image.planned + prompt.planned + generated.planned;
}

const listFormat = new Intl.ListFormat("en", { type: "conjunction" });

function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 ? Math.round(value) : value.toPrecision(2)} %`;
}

/** One or two plain sentences: what was changed, or why nothing was. */
export function describeReceipt(receipt: Receipt): string {
  const stopped = receipt.finish === "cancelled" ? ` Stopped after ${receipt.tokens} ${receipt.tokens === 1 ? "token" : "tokens"}.` : "";
  return outcomeSentence(receipt) + stopped;
}

function outcomeSentence({ arm, outcome, reason, mode, prefill, decode, relativeNorm, tokens }: Receipt): string {
  if (outcome === "baseline") return "The model as it is, without the dictionary: nothing was changed.";
  if (outcome === "reconstruction")
    return "The dictionary's reconstruction replaced the hidden state at every position; nothing was clamped.";
  if (outcome === "unchanged") return `Nothing was changed: ${reason ?? "the changes were all zero"}.`;
  const counts = (
    [
      [prefill.image, "image position"],
      [prefill.text, "prompt position"],
      [decode, "generated token"],
    ] as const
  )
    .filter(([{ planned: n }]) => n > 0)
    .map(([{ planned: n, changed }, noun]) => `${changed} of ${n} ${noun}${n === 1 ? "" : "s"}`);
  const how = arm === "negated" ? " the opposite way" : arm === "random" ? " along a random feature of equal norm" : "";
  const untouched = decode.planned === 0 && tokens > 0 ? "; generated tokens were not clamped" : "";
  const size = relativeNorm === null ? "" : ` A change was ${percent(relativeNorm)} of the hidden state's norm on average.`;
  const reconstructed = mode === "reconstruct" ? " The dictionary's reconstruction replaced the hidden state at every position." : "";
  return `Changed ${listFormat.format(counts)}${how}${untouched}.${size}${reconstructed}`;
}
