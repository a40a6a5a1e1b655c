/** Conformance, fourth part: which features make a token of an answer what it is. */
import { expect, it } from "vitest";
import {
  type AttributionEffect,
  type AttributionEvent,
  type AttributionRequestInput,
  type AttributionResult,
  type AttributionRow,
  attributionEventSchema,
  attributionRequestSchema,
} from "@/lib/core/attribution";
import type { Arm, EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import { logSoftmax } from "@/lib/core/sampling";
import { type Capabilities, type ClampInput, runAll } from "./conformance-checks";
import type { Known } from "./conformance-reports";

interface Told {
  events: AttributionEvent[];
  result: AttributionResult;
  effects: AttributionEffect[];
  agreement: Extract<AttributionEvent, { type: "agreement" }>;
}

export function describeAttribution(known: () => Known, { attributes }: Capabilities): void {
  const asked = ({ dictionary, messages }: GenerateRequest, more: Partial<AttributionRequestInput>) =>
    attributionRequestSchema.parse({ dictionary, messages, answer: known().words, limit: 1_000, exact: 0, ...more });
  const attribute = (more: Partial<AttributionRequestInput> = {}, signal = new AbortController().signal) => {
    const { subject, request } = known();
    return subject.engine.attribute(asked(request(), more), { signal, resolveImage: subject.resolveImage, unitOf: () => 1 });
  };
  const attributed = async (more: Partial<AttributionRequestInput> = {}): Promise<Told> => {
    const events: AttributionEvent[] = [];
    for await (const event of attribute(more)) events.push(attributionEventSchema.parse(event));
    const told = events.filter(({ type }) => type !== "queued");
    expect(told.map(({ type }) => type)).toEqual(["result", ...told.slice(1, -2).map(() => "measured"), "agreement", "done"]);
    const result = (told[0] as Extract<AttributionEvent, { type: "result" }>).result;
    const effects = told.flatMap((event) => (event.type === "measured" ? event.effects : []));
    return { events, result, effects, agreement: told.at(-2) as Told["agreement"] };
  };
  /** Logits from which the known words' token at `place` is chosen, under some clamps. */
  const logitsUnder = async (clamps: ClampInput[], place: number): Promise<Float32Array> => {
    const { subject, request, words } = known();
    const outcome = await runAll(subject, request(clamps, { controls: [] }), { tap: { force: { steered: words } } });
    return outcome.logits.steered?.[place] as Float32Array;
  };
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const timeless = ({ timingsMs: _, ...result }: AttributionResult) => result;

  if (!attributes) {
    it("says that it does not attribute", async () => {
      await expect(attributed()).rejects.toMatchObject({ code: "engine_unavailable" });
    });
    return;
  }

  it("shares a token's cause out among features, error and bias so that they sum to gradient · state, images and words apart", async () => {
    for (const position of [0, 4]) {
      const { result } = await attributed({ position });
      const { whole, features, error, bias } = result.totals;
      const size = Math.max(...[whole, features, error, bias].map(({ total }) => Math.abs(total)));
      for (const part of ["total", "image", "text"] as const)
        expect(Math.abs(features[part] + error[part] + bias[part] - whole[part])).toBeLessThan(1e-4 * size);
      for (const parts of [whole, features, error, bias])
        expect(Math.abs(parts.image + parts.text - parts.total)).toBeLessThan(1e-6 * size);
      expect(result.rows).toHaveLength(Math.min(1_000, result.active));
      const sizes = result.rows.map(({ estimate }) => Math.abs(estimate));
      expect(sizes).toEqual([...sizes].sort((a, b) => b - a));
      expect(sum(sizes)).toBeGreaterThan(0);
      for (const row of result.rows) {
        const { kind } = result.positions[row.at.positions[0] as number] as AttributionResult["positions"][number];
        if (row.at.positions.length === 1) expect(kind === "image" ? row.text : row.image).toBe(0);
        expect(Math.abs(sum(row.at.values) - row.estimate)).toBeLessThan(1e-6 * size);
        expect(Math.abs(row.image + row.text - row.estimate)).toBeLessThan(1e-6 * size);
      }
      expect(Math.abs(sum(result.sums) - features.total)).toBeLessThan(1e-6 * size);
      expect(result.positions).toHaveLength(result.sums.length);
      expect(result.positions.filter(({ kind }) => kind === "answer")).toHaveLength(position);
    }
  });

  it("tells the metric of the logits that the answer is written from: a difference, one logit, the answer's probability", async () => {
    const { words } = known();
    const rows = await Promise.all(words.map((_, place) => logitsUnder([], place)));
    const at = rows[2] as Float32Array;
    const chosen = words[2] as number;
    const { result } = await attributed({ position: 2 });
    const best = Math.max(...at.filter((_, id) => id !== chosen));
    expect(result.metric).toMatchObject({ answer: { id: chosen }, baseline: { id: at.indexOf(best) } });
    expect(result.metric.value).toBeCloseTo((at[chosen] as number) - best, 3);
    expect(result.chosen.logit).toBeCloseTo(at[chosen] as number, 3);
    expect(result.alternatives[0]?.logit).toBeCloseTo(Math.max(...at), 3);
    const logit = await attributed({ position: 2, metric: { type: "logit", answer: 7 } });
    expect(logit.result.metric.value).toBeCloseTo(at[7] as number, 3);
    const whole = await attributed({ metric: { type: "logprob" } });
    expect(whole.result.metric.value).toBeCloseTo(sum(words.map((id, place) => logSoftmax(rows[place] as Float32Array)[id] as number)), 2);
  });

  it("has the slope that small changes of a feature really have", async () => {
    const { result } = await attributed({ metric: { type: "logit" } });
    const rows = result.rows.flatMap((row) =>
      row.at.positions.map((position, i) => ({ feature: row.feature, position, value: row.at.values[i] as number, row })),
    );
    const cells = rows.filter(({ position }) => result.positions[position]?.cell);
    const [{ feature, position, value, row }] = cells.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)) as [(typeof cells)[number]];
    const { image, cell } = result.positions[position]?.cell ?? { image: -1, cell: -1 };
    const scope = { type: "region" as const, image, cells: [cell] };
    const step = 0.05;
    const id = known().words[0] as number;
    const [more, less] = await Promise.all(
      [step, -step].map(async (by) => (await logitsUnder([{ feature, op: "add", value: by, unit: "raw", scope }], 0))[id] as number),
    );
    const slope = ((more as number) - (less as number)) / (2 * step);
    // What one unit of activation is worth there; the largest activation stands for this one where the row has a single position.
    const activation = await activationAt(feature, cell);
    expect(value / activation / slope).toBeGreaterThan(0.95);
    expect(value / activation / slope).toBeLessThan(1.05);
    expect(row.activation).toBeGreaterThanOrEqual(activation * 0.999);
  });

  const activationAt = async (feature: number, cell: number): Promise<number> => {
    const { subject, request } = known();
    const clamp: ClampInput = { feature, op: "add", value: 0, unit: "raw", scope: { type: "region", image: 0, cells: [cell] } };
    const outcome = await runAll(subject, request([clamp], { controls: [], sampling: { maxTokens: 1 } }));
    return outcome.receipts.steered?.clamps[0]?.meanBefore as number;
  };

  it("measures what ablating a feature alone everywhere takes from the metric, and nothing for an inactive one", async () => {
    const { inactive, words } = known();
    const { result, effects, agreement } = await attributed({ position: 3, exact: 11 });
    expect(effects.map(({ feature }) => feature)).toEqual(result.rows.slice(0, 11).map(({ feature }) => feature));
    expect(effects.map(({ estimate }) => estimate)).toEqual(result.rows.slice(0, 11).map(({ estimate }) => estimate));
    expect(agreement.n).toBe(11);
    expect(agreement.rankCorrelation).toBeGreaterThan(0);
    const chosen = words[3] as number;
    const baseline = result.metric.baseline?.id as number;
    const metric = (logits: Float32Array) => (logits[chosen] as number) - (logits[baseline] as number);
    const { feature, effect } = effects[1] as AttributionEffect;
    const ablated = await logitsUnder([{ feature, op: "ablate", scope: { type: "all" } }], 3);
    expect(result.metric.value - metric(ablated)).toBeCloseTo(effect, 2);
    expect(result.rows.some((row) => row.feature === inactive)).toBe(false);
    const asked = await attributed({ position: 3, measure: [inactive, feature] });
    expect(asked.effects).toEqual([
      { feature: inactive, estimate: 0, effect: expect.closeTo(0, 3) },
      { feature, estimate: expect.closeTo(effects[1]?.estimate as number, 3), effect: expect.closeTo(effect, 3) },
    ]);
  });

  it("writes the greedy answer where none is given, says the same again, and something else of another token", async () => {
    const { subject, request } = known();
    const written = await runAll(subject, request([], { controls: [], sampling: { maxTokens: 6 } }));
    const one = await attributed({ answer: undefined, maxTokens: 6 });
    expect(one.result.answer.map(({ id }) => id)).toEqual(written.tokens.steered);
    const again = await attributed({ answer: undefined, maxTokens: 6 });
    expect(timeless(again.result)).toEqual(timeless(one.result));
    const other = await attributed({ answer: undefined, maxTokens: 6, position: 1 });
    expect(other.result.rows.map(({ estimate }) => estimate)).not.toEqual(one.result.rows.map(({ estimate }) => estimate));
  });

  it("explains an answer in the states that clamps left it", async () => {
    const { active, words, mixture } = known();
    const plain = await attributed({ position: 5, metric: { type: "logit" } });
    const clamped = await attributed({ position: 5, metric: { type: "logit" }, interventions: mixture() });
    const logits = await logitsUnder(mixture(), 5);
    expect(clamped.result.metric.value).toBeCloseTo(logits[words[5] as number] as number, 2);
    expect(Math.abs(clamped.result.metric.value - plain.result.metric.value)).toBeGreaterThan(0.01);
    const gone: AttributionRow | undefined = (
      await attributed({ interventions: [{ feature: active[0] as number, op: "ablate", scope: { type: "all" } }] })
    ).result.rows.find(({ feature }) => feature === active[0]);
    const before = plain.result.rows.find(({ feature }) => feature === active[0]);
    expect(gone?.activation ?? 0).toBeLessThan(before?.activation as number);
  });

  it.each(["delta", "reconstruct"] as const)("explains the answer of every arm in the states of that arm, in mode %s", async (mode) => {
    const { subject, request, words, mixture } = known();
    // On top of a reconstruction clamps act on the prompt only.
    const clamps = mixture().filter(({ scope }) => mode === "delta" || scope?.type !== "generated");
    const [place, seed] = [5, 7];
    const controls = ["negated", "random", "reconstruction"] as const;
    const asked = request(clamps, { mode, controls: [...controls], sampling: { maxTokens: 9, seed } });
    const force = Object.fromEntries((["steered", ...controls] as const).map((arm) => [arm, words]));
    const { events } = await runAll(subject, asked, { tap: { force } });
    type Token = Extract<EngineEvent, { type: "token" }>;
    const told = (arm: Arm) =>
      events.find((event): event is Token => event.type === "token" && event.arm === arm && event.i === place) as Token;
    const at = { position: place, metric: { type: "logprob", from: place, to: place + 1 }, alternatives: 5 } as const;
    const clamped = { ...at, interventions: clamps, mode };
    const ways = {
      steered: clamped,
      negated: { ...clamped, control: { type: "negated" } },
      random: { ...clamped, control: { type: "random", seed } },
      reconstruction: { ...at, mode: "reconstruct" },
    } as const;
    const values: number[] = [];
    for (const [arm, way] of Object.entries(ways)) {
      const { result } = await attributed(way);
      const { logprob, alternatives } = told(arm as Arm);
      expect(Math.abs(result.metric.value - logprob), arm).toBeLessThan(1e-3);
      expect(result.chosen.logprob).toBeCloseTo(logprob, 3);
      expect(result.alternatives.map((one) => one.id)).toEqual(alternatives.map(({ id }) => id));
      for (const [i, one] of result.alternatives.entries())
        expect(Math.abs(one.logprob - (alternatives[i]?.logprob ?? 0))).toBeLessThan(1e-3);
      values.push(result.metric.value);
    }
    // Each arm has states of its own, and another seed other features.
    values.push((await attributed({ ...clamped, control: { type: "random", seed: seed + 1 } })).result.metric.value);
    for (const [i, value] of values.entries())
      for (const other of values.slice(0, i)) expect(Math.abs(value - other), `${values}`).toBeGreaterThan(0.003);
    const turned = clamps.flatMap((clamp): ClampInput[] => {
      if (clamp.op === "set") return [];
      return [
        clamp.op === "add"
          ? { ...clamp, value: -(clamp.value ?? 1) }
          : { ...clamp, op: "scale", value: 2 - (clamp.op === "ablate" ? 0 : (clamp.value ?? 1)) },
      ];
    });
    const turnable = clamps.filter(({ op }) => op !== "set");
    const [one, same] = [
      await attributed({ ...clamped, interventions: turnable, control: { type: "negated" } }),
      await attributed({ ...clamped, interventions: turned }),
    ];
    expect(one.result.metric.value).toBeCloseTo(same.result.metric.value, 4);
  });

  it("writes the greedy answer of a control where none is given", async () => {
    const { subject, request, mixture } = known();
    const seed = 3;
    const written = await runAll(subject, request(mixture(), { controls: ["negated", "random"], sampling: { maxTokens: 6, seed } }));
    for (const control of [{ type: "negated" }, { type: "random", seed }] as const) {
      const { result } = await attributed({ interventions: mixture(), control, answer: undefined, maxTokens: 6 });
      expect(result.answer.map(({ id }) => id)).toEqual(written.tokens[control.type]);
    }
  });

  it("integrates along the way to the states without features, whose end it tells", async () => {
    const { result } = await attributed({ method: { type: "integrated", steps: 24 } });
    const { value } = result.metric;
    const gap = value - (result.method.withoutFeatures as number);
    expect(result.method).toMatchObject({ type: "integrated", steps: 24 });
    expect(Math.abs(result.totals.features.total - gap)).toBeLessThan(0.05 * Math.max(Math.abs(gap), Math.abs(value)));
  });

  it.each([
    ["place_unknown", { position: 8 }],
    ["place_unknown", { metric: { type: "logprob", to: 9 } }],
    ["invalid_request", { metric: { type: "logprob", from: 3, to: 3 } }],
    ["token_unknown", { metric: { type: "logit", answer: 9_999_999 } }],
    ["token_unknown", { answer: [9_999_999] }],
    ["invalid_request", { metric: { type: "difference", answer: 5, baseline: 5 } }],
    ["dictionary_not_found", { dictionary: "another/one" }],
    ["version_mismatch", { version: "000000000000" }],
    ["clamp_nowhere", { interventions: [{ feature: 0, scope: { type: "region", cells: [9_999] } }] }],
  ] as const)("refuses before its first event what cannot be: %s %j", async (code, more) => {
    const first = attribute(more as unknown as Partial<AttributionRequestInput>)
      [Symbol.asyncIterator]()
      .next();
    await expect(first).rejects.toMatchObject({ code });
  });

  it("stops between two passes of an abort, and serves the next", async () => {
    const leaving = new AbortController();
    const seen: string[] = [];
    const run = (async () => {
      for await (const event of attribute({ exact: 200 }, leaving.signal)) {
        seen.push(event.type);
        if (event.type === "result") leaving.abort();
      }
    })();
    await expect(run).rejects.toMatchObject({ code: "cancelled" });
    expect(seen.filter((type) => type === "measured").length).toBeLessThanOrEqual(2);
    expect((await attributed()).events.at(-1)).toEqual({ type: "done" });
  });
}
