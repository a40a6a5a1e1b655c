import { describe, expect, it } from "vitest";
import { planClamps } from "./clamp";
import { noCodes } from "./clamp-arithmetic.mjs";
import { type Arm, interventionSchema, type Receipt } from "./protocol";
import { describeReceipt, ReceiptLedger } from "./receipt";

const layout = { length: 3, images: [{ start: 0, rows: 1, cols: 2 }] };
const plan = planClamps([interventionSchema.parse({ feature: 4, op: "ablate", scope: { type: "all" } })], {
  layout,
  mode: "delta",
  numLatents: 8,
  maxTokens: 4,
  unitOf: () => 1,
});
const hidden = Float32Array.from([3, 4, 0, 5, 1, 0]);
const change = (row: number, before: number) => ({ clamp: 0, row, feature: 4, before, difference: -before });

function ledger(arm: Arm = "steered"): ReceiptLedger {
  return new ReceiptLedger(plan, arm, "delta");
}

function receipt(parts: Partial<Receipt>): Receipt {
  const { outcome, reason, clamps, prefill, decode, relativeNorm } = ledger().tally(noCodes);
  return {
    arm: "steered",
    outcome,
    reason,
    clamps,
    prefill,
    decode,
    relativeNorm,
    text: "",
    finish: "stop",
    model: { id: "m", sha256: "0".repeat(64) },
    dictionary: { id: "d", hook: "d", sha256: "0".repeat(64) },
    prompt: { text: "", images: [] },
    mode: "delta",
    sampling: { maxTokens: 4, temperature: 0, topP: 1, seed: 0 },
    tokens: 2,
    engine: { name: "e", version: "1", dtype: "float32" },
    timingsMs: { queued: 0, prefill: 0, decode: 0 },
    ...parts,
  };
}

describe("ReceiptLedger", () => {
  it("counts a position only where the state given on really differs", () => {
    const book = ledger();
    const output = hidden.slice();
    output[0] = 0;
    book.record({ output, reference: hidden, changes: [change(0, 2), change(1, 1), change(2, 0)] }, output, hidden, 2, 0);
    book.record({ output: hidden, reference: hidden, changes: [] }, hidden, hidden, 2, 3);
    const tally = book.tally(noCodes);
    expect(tally).toMatchObject({
      outcome: "steered",
      prefill: { image: { planned: 2, changed: 1 }, text: { planned: 1, changed: 0 } },
      decode: { planned: 0, changed: 0 },
      relativeNorm: 0.6,
    });
    expect(tally.clamps[0]).toMatchObject({ meanBefore: 1, meanAfter: 0, image: { planned: 2, changed: 1 } });
  });

  it("is unchanged, with the reason, where nothing differed", () => {
    const inactive = ledger();
    inactive.record({ output: hidden, reference: hidden, changes: [change(0, 0), change(1, 0)] }, hidden, hidden, 2, 0);
    expect(inactive.tally(noCodes)).toMatchObject({ outcome: "unchanged", reason: expect.stringContaining("inactive at all 2 positions") });
    const lost = ledger();
    lost.record({ output: hidden, reference: hidden, changes: [change(0, 2)] }, hidden, hidden, 2, 0);
    expect(lost.tally(noCodes)).toMatchObject({ outcome: "unchanged", reason: expect.stringContaining("did not alter") });
  });

  it("knows a clamp that met no position", () => {
    expect(ledger().unappliedClamp()).toBe(0);
  });
});

describe("describeReceipt", () => {
  const count = (planned: number, changed = planned) => ({ planned, changed });

  it("says in plain words what was changed", () => {
    const full = receipt({
      outcome: "steered",
      reason: null,
      prefill: { image: count(144), text: count(0) },
      decode: count(23),
      relativeNorm: 0.4137,
      tokens: 23,
    });
    expect(describeReceipt(full)).toBe(
      "Changed 144 of 144 image positions and 23 of 23 generated tokens. A change was 41 % of the hidden state's norm on average.",
    );
    const one = receipt({
      outcome: "steered",
      reason: null,
      prefill: { image: count(1), text: count(0) },
      relativeNorm: 0.012,
      finish: "cancelled",
      tokens: 1,
    });
    expect(describeReceipt(one)).toBe(
      "Changed 1 of 1 image position; generated tokens were not clamped. A change was 1.2 % of the hidden state's norm on average. Stopped after 1 token.",
    );
  });

  it("never claims a change where there was none", () => {
    expect(describeReceipt(receipt({ outcome: "unchanged", reason: "no clamp was given" }))).toBe(
      "Nothing was changed: no clamp was given.",
    );
    expect(describeReceipt(receipt({ arm: "baseline", outcome: "baseline" }))).toContain("nothing was changed");
    expect(describeReceipt(receipt({ arm: "reconstruction", outcome: "reconstruction" }))).toContain("nothing was clamped");
  });
});
