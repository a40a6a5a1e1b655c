import { describe, expect, it } from "vitest";
import { kindOf, type PlanContext, planClamps, scopePositions } from "./clamp";
import { type Codes, clampSlab, type Decoder, targetActivation } from "./clamp-arithmetic.mjs";
import { drawSubstitutes } from "./clamp-controls";
import { type Intervention, interventionSchema } from "./protocol";

/** Two template tokens, a 2 × 2 picture, one word, a 1 × 2 picture, one word. */
const layout = {
  length: 10,
  images: [
    { start: 2, rows: 2, cols: 2 },
    { start: 7, rows: 1, cols: 2 },
  ],
};
const context: PlanContext = { layout, mode: "delta", numLatents: 6, maxTokens: 8, unitOf: (feature) => (feature === 5 ? 0 : 2) };
const clamp = (input: Partial<Intervention> & { feature: number }) => interventionSchema.parse(input);
const region = (image: number, ...cells: number[]) => ({ type: "region", image, cells }) as const;

describe("scopes", () => {
  it("are disjoint but for all and region", () => {
    expect(scopePositions({ type: "image" }, layout)).toEqual([2, 3, 4, 5, 7, 8]);
    expect(scopePositions({ type: "prompt" }, layout)).toEqual([0, 1, 6, 9]);
    expect(scopePositions({ type: "all" }, layout)).toHaveLength(10);
    expect(scopePositions({ type: "generated" }, layout)).toEqual([]);
    expect(scopePositions(region(1, 1, 0, 1), layout)).toEqual([7, 8]);
    expect([1, 5, 6, 8, 10].map((position) => kindOf(layout, position))).toEqual(["prompt", "image", "prompt", "image", "generated"]);
  });
});

describe("targetActivation", () => {
  it("is float32 and follows the op", () => {
    const target = (op: Intervention["op"], value: number) => targetActivation(clamp({ feature: 0, op, value }), 2, Math.fround(0.3));
    expect(target("set", 0.1)).toBe(Math.fround(Math.fround(0.1) * 2));
    expect(target("scale", 1)).toBe(Math.fround(0.3));
    expect(target("scale", -2)).toBe(Math.fround(-0.6));
    expect(target("add", 0)).toBe(Math.fround(0.3));
    expect(target("ablate", 7)).toBe(0);
  });
});

describe("planClamps", () => {
  it("turns scopes into positions and units into activations", () => {
    const plan = planClamps(
      [clamp({ feature: 1, scope: region(0, 3, 0) }), clamp({ feature: 2, unit: "raw", scope: { type: "all" } })],
      context,
    );
    expect(plan.clamps[0]).toMatchObject({ unitActivation: 2, positions: [2, 5], generated: false });
    expect(plan.clamps[1]).toMatchObject({ unitActivation: 1, generated: true });
    expect(plan).toMatchObject({ generated: true, positions: scopePositions({ type: "all" }, layout) });
  });

  it("says why a clamp would act nowhere", () => {
    const refused = (input: Partial<Intervention> & { feature: number }, more: Partial<PlanContext> = {}) =>
      expect(() => planClamps([clamp(input)], { ...context, ...more })).toThrow(expect.objectContaining({ code: "clamp_nowhere" }));
    refused({ feature: 6 });
    refused({ feature: 0, scope: region(2, 0) });
    refused({ feature: 0, scope: region(0, 0, 4) });
    refused({ feature: 0, scope: { type: "generated" } }, { maxTokens: 1 });
    refused({ feature: 0, scope: { type: "generated" } }, { mode: "reconstruct" });
    refused({ feature: 0, scope: { type: "image" } }, { layout: { length: 3, images: [] } });
  });

  it("refuses a strength in units of a maximum that does not exist, unless the op needs none", () => {
    expect(() => planClamps([clamp({ feature: 5 })], context)).toThrow(expect.objectContaining({ code: "invalid_request" }));
    expect(planClamps([clamp({ feature: 5, op: "ablate" })], context).clamps).toHaveLength(1);
  });

  it("refuses overlap on one feature only", () => {
    const pair = (a: Intervention["scope"], b: Intervention["scope"], other = 1) =>
      planClamps([clamp({ feature: 1, scope: a }), clamp({ feature: other, scope: b })], context);
    const overlap = expect.objectContaining({ code: "clamp_overlap" });
    expect(() => pair({ type: "all" }, { type: "generated" })).toThrow(overlap);
    expect(() => pair({ type: "image" }, region(1, 0))).toThrow(overlap);
    expect(() => pair(region(0, 1, 2), region(0, 2))).toThrow(overlap);
    expect(pair(region(0, 0), region(1, 0)).clamps).toHaveLength(2);
    expect(pair({ type: "image" }, { type: "prompt" }).clamps).toHaveLength(2);
    expect(pair({ type: "all" }, { type: "all" }, 2).clamps).toHaveLength(2);
  });
});

describe("clampSlab", () => {
  const rows = [
    [1, 0],
    [0, 1],
    [3, 4],
  ].map((row) => Float32Array.from(row));
  const decoder: Decoder = { width: 2, bias: Float32Array.from([10, 20]), row: (feature) => rows[feature] as Float32Array };
  const hidden = Float32Array.from([1, 1, 2, 2]);
  /** Row 0: feature 0 at 2, feature 1 at 1; row 1: feature 1 at 4. */
  const codes: Codes = { k: 2, indices: Int32Array.from([0, 1, 1, 0]), values: Float32Array.from([2, 1, 4, 0]) };
  const slab = { hidden, codes, codedRows: [0, 1], clampsAt: () => [0] };
  const planned = (input: Partial<Intervention> & { feature: number }) => [
    { intervention: clamp({ unit: "raw", ...input }), unitActivation: 1, positions: [0, 1], generated: false },
  ];

  it("adds the difference along the decoder row", () => {
    const { output, reference, changes } = clampSlab("delta", planned({ feature: 0, value: 5 }), { kind: "asked" }, decoder, slab);
    expect([...output]).toEqual([4, 1, 7, 2]);
    expect(reference).toBe(hidden);
    expect(changes.map(({ before, difference }) => [before, difference])).toEqual([
      [2, 3],
      [0, 5],
    ]);
    expect([...hidden]).toEqual([1, 1, 2, 2]);
  });

  it("turns the change round, or writes it along another row at equal norm", () => {
    const clamps = planned({ feature: 0, value: 5 });
    expect([...clampSlab("delta", clamps, { kind: "negated" }, decoder, slab).output]).toEqual([-2, 1, -3, 2]);
    const random = clampSlab("delta", clamps, { kind: "random", substitutes: [2] }, decoder, slab);
    expect([...random.output].map((x) => Math.round(x * 1e4) / 1e4)).toEqual([2.8, 3.4, 5, 6]);
    expect(random.changes[0]).toMatchObject({ feature: 2, before: 0 });
  });

  it("replaces the state by the reconstruction, a new latent displacing the weakest", () => {
    const { output, reference } = clampSlab("reconstruct", planned({ feature: 2, value: 1 }), { kind: "asked" }, decoder, slab);
    expect([...reference]).toEqual([12, 21, 10, 24]);
    // Row 0 keeps feature 0 and loses feature 1, the weaker; row 1 has a place free.
    expect([...output]).toEqual([15, 24, 13, 28]);
  });

  it("keeps a negative clamp in mode reconstruct, and frees a place by ablation", () => {
    const negative = clampSlab("reconstruct", planned({ feature: 1, value: -3 }), { kind: "asked" }, decoder, slab);
    expect([...negative.output]).toEqual([12, 17, 10, 17]);
    const ablated = clampSlab("reconstruct", planned({ feature: 1, op: "ablate" }), { kind: "asked" }, decoder, slab);
    expect([...ablated.output]).toEqual([12, 20, 10, 20]);
  });
});

describe("drawSubstitutes", () => {
  it("draws live features that are not clamped, none twice, the same with the same seed", () => {
    const draw = (seed: number) => drawSubstitutes([0, 1], 6, context.unitOf, seed);
    for (let seed = 0; seed < 20; seed++) {
      const drawn = draw(seed);
      expect(drawn).toEqual(draw(seed));
      expect(new Set([...drawn, 0, 1, 5]).size).toBe(5);
    }
    expect(drawSubstitutes([0, 1], 2, context.unitOf, 0)).toHaveLength(2);
  });
});
