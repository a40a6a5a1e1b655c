import { beforeAll, describe, expect, it } from "vitest";
import { clampSlab, noCodes } from "@/lib/core/clamp-arithmetic.mjs";
import type { Arm, EngineEvent, GenerateRequest, GenerateRequestInput, Receipt } from "@/lib/core/protocol";
import { generateRequestSchema } from "@/lib/core/protocol";
import { createRandom } from "@/lib/core/random";
import { type LocalSubject, localSubject, resolveImage } from "../conformance-subject";
import type { Tap } from "../engine";
import { canDraft, Draft, RankBounds } from "./draft.mjs";
import { checkedOf } from "./hook-wire.mjs";
import type { NodeRuntime } from "./runtime-node";
import type { HookWeights, TokenClamps } from "./token-hook.mjs";

/** Guesses that every clamped feature is inactive, and that every latent above zero is active. */
const guesses = { none: { low: 1e9, high: 1e9 }, all: { low: 0, high: 0 } };

describe("drafted tokens", () => {
  let subject: LocalSubject;
  let active: number[];
  const image = { sha256: "0".repeat(64) };

  beforeAll(async () => {
    subject = await localSubject({ concurrency: 2, bound: 2 });
    const found = await subject.engine.features(
      { dictionary: subject.dictionary, image, limit: 20 },
      { signal: new AbortController().signal, resolveImage },
    );
    active = found.features.map(({ index }) => index);
  }, 60_000);

  const request = (more: Partial<GenerateRequestInput> = {}): GenerateRequest =>
    generateRequestSchema.parse({
      dictionary: subject.dictionary,
      messages: [
        {
          role: "user",
          content: [
            { type: "image", image },
            { type: "text", text: "what do you see ?" },
          ],
        },
      ],
      interventions: [
        { feature: active[0], op: "scale", value: 0.5, scope: { type: "all" } },
        { feature: active[1], op: "set", value: 9, unit: "raw", scope: { type: "generated" } },
        { feature: active[2], op: "ablate", scope: { type: "all" } },
        { feature: active[5], op: "add", value: 4, unit: "raw", scope: { type: "generated" } },
        { feature: 7, op: "add", value: -3, unit: "raw", scope: { type: "all" } },
      ],
      controls: ["baseline", "negated", "random"],
      watch: ["dog"],
      alternatives: 3,
      sampling: { maxTokens: 40 },
      ...more,
    } as GenerateRequestInput);

  interface Outcome {
    events: EngineEvent[];
    logits: Map<string, Float32Array>;
    back: number;
  }

  async function run(asked: GenerateRequest, tap: Tap = {}, signal = new AbortController().signal): Promise<Outcome> {
    const outcome: Outcome = { events: [], logits: new Map(), back: 0 };
    const looking: Tap = {
      ...tap,
      onLogits: (arm, i, logits) => outcome.logits.set(`${arm} ${i}`, logits.slice()),
      onBack: () => outcome.back++,
    };
    for await (const event of subject.engine.generate(asked, { signal, resolveImage, unitOf: () => 3, tap: looking })) {
      outcome.events.push(
        event.type === "receipt" ? { ...event, receipt: { ...event.receipt, timingsMs: {} as Receipt["timingsMs"] } } : event,
      );
    }
    return outcome;
  }

  /** Events by arm: only how arms take turns may differ. */
  const byArm = ({ events }: Outcome) => {
    const arms: Record<string, EngineEvent[]> = {};
    for (const event of events) {
      const arm = event.type === "receipt" ? event.receipt.arm : event.type === "token" ? event.arm : "all";
      arms[arm] = [...(arms[arm] ?? []), event];
    }
    return arms;
  };

  // What looks on at the hook is not drafted: the encoder answers for each token before it goes on.
  const exact: Tap = { onHidden: () => {} };

  it.each([
    ["greedy", {}],
    ["drawn by a seed", { sampling: { maxTokens: 40, temperature: 1.5, topP: 0.95, seed: 11 } }],
    ["a sweep of many arms", { controls: [], sweep: { clamp: 1, values: [-8, -4, -2, 1, 2, 4, 8, 16] }, sampling: { maxTokens: 16 } }],
  ] as [string, Partial<GenerateRequestInput>][])(
    "are told, to the last bit, as where the encoder answers for each one: %s",
    async (_, more) => {
      const asked = request(more);
      const wanted = await run(asked, exact);
      expect(wanted.events.filter(({ type }) => type === "token").length).toBeGreaterThan(20);
      const [usual, none, all] = [
        await run(asked),
        await run(asked, { guesses: guesses.none }),
        await run(asked, { guesses: guesses.all }),
      ];
      for (const outcome of [usual, none, all]) {
        expect(byArm(outcome)).toEqual(byArm(wanted));
        expect(outcome.logits).toEqual(wanted.logits);
      }
      expect(wanted.back).toBe(0);
      // How often depends on how arms take turns, so on how busy the machine is.
      expect(none.back).toBeGreaterThan(0);
      expect(all.back).toBeGreaterThan(0);
    },
    60_000,
  );

  const words = Array.from({ length: 64 }, (_, i) => 20 + i);

  it("are mostly guessed right", async () => {
    const asked = request({ controls: [], sampling: { maxTokens: 64 } });
    const tap = { force: { steered: words } };
    await run(asked, tap);
    expect((await run(asked, tap)).back).toBeLessThan(4);
  });

  it("stop within one token of an abort amid a draft, told only as far as checked, and leave nothing behind", async () => {
    const asked = request({ controls: ["baseline"], sampling: { maxTokens: 64 } });
    const force: Partial<Record<Arm, number[]>> = { steered: words, baseline: words };
    const whole = await run(asked, { force });
    for (const last of [0, 3, 17]) {
      const leaving = new AbortController();
      const events: EngineEvent[] = [];
      const options = { signal: leaving.signal, resolveImage, unitOf: () => 3, tap: { force, guesses: guesses.none } };
      for await (const event of subject.engine.generate(asked, options)) {
        events.push(event);
        if (event.type === "token" && event.arm === "steered" && event.i === last) leaving.abort();
      }
      const told = events.filter((event) => event.type === "token");
      expect(told.length).toBeLessThanOrEqual(2 * (last + 2));
      expect(whole.events).toEqual(expect.arrayContaining(told));
      for (const event of events) {
        if (event.type !== "receipt") continue;
        const { arm, finish, tokens, decode } = event.receipt;
        expect({ finish, tokens }).toEqual({ finish: "cancelled", tokens: told.filter((token) => token.arm === arm).length });
        if (arm === "steered") expect(decode.planned).toBeLessThanOrEqual(tokens);
      }
    }
    const runtime = (await subject.engine.loaded()).model.runtime as NodeRuntime;
    expect(await runtime.keptTensors()).toBe(0);
  });
});

describe("Draft", () => {
  const [width, latents, k] = [24, 60, 6];
  const random = createRandom(5);
  const matrix = Float32Array.from({ length: latents * width }, () => random() - 0.5);
  const rows = (from: Float32Array) => (feature: number) => from.subarray(feature * width, (feature + 1) * width);
  /** Some features fire never, two always, and the others change about. */
  const bias = Float32Array.from({ length: latents }, (_, i) => (i < 20 ? -9 : i === 41 || i === 50 ? 9 : random() / 4));
  const weights: HookWeights = {
    k,
    width,
    encoder: { row: rows(matrix), bias },
    decoder: { width, row: rows(matrix.map((x) => x * 3)), bias: Float32Array.from({ length: width }, () => random() - 0.5) },
  };
  let encoded = 0;
  /** The encoder, each sum formed as onnxruntime forms it. */
  const encode = async (states: Float32Array[]) => {
    const [all] = states as [Float32Array];
    encoded++;
    const count = all.length / width;
    const codes = { k, indices: new Int32Array(count * k), values: new Float32Array(count * k) };
    for (let row = 0; row < count; row++) {
      const found = Array.from({ length: latents }, (_, feature): [number, number] => {
        let sum = 0;
        for (let j = 0; j < width; j++) {
          const x = Math.fround((all[row * width + j] as number) - (weights.decoder.bias[j] as number));
          sum = Math.fround(sum + x * (weights.encoder.row(feature)[j] as number));
        }
        return [feature, Math.max(0, Math.fround(sum + (bias[feature] as number)))];
      }).sort((a, b) => b[1] - a[1] || a[0] - b[0]);
      for (let i = 0; i < k; i++) [codes.indices[row * k + i], codes.values[row * k + i]] = found[i] as [number, number];
    }
    return codes;
  };
  const clamp = (feature: number, op: "set" | "add" | "scale", value: number) => ({
    intervention: { feature, op, value },
    unitActivation: 2,
  });
  const arms: (TokenClamps | null)[] = [
    {
      mode: "delta",
      variant: { kind: "asked" },
      clamps: Array.from({ length: 9 }, (_, i) => clamp(i ? i : 59, i % 2 ? "add" : "scale", i - 4)),
    },
    null,
    { mode: "delta", variant: { kind: "random", substitutes: [41, 9] }, clamps: [clamp(50, "set", 1), clamp(2, "add", -1)] },
    { mode: "delta", variant: { kind: "negated" }, clamps: [clamp(20, "set", 3)] },
  ];
  const members = [...arms.keys()];
  const statesOf = (seed: number) => {
    const draw = createRandom(seed);
    return Float32Array.from({ length: arms.length * width }, () => 4 * (draw() - 0.5));
  };
  const wanted = async (states: Float32Array, member: number) => {
    const hidden = states.slice(member * width, (member + 1) * width);
    const arm = arms[member];
    if (!arm) return { output: hidden, reference: hidden, changes: [] };
    const codes = arm.clamps.length ? await encode([hidden]) : noCodes;
    return clampSlab("delta", arm.clamps, arm.variant, weights.decoder, {
      hidden,
      codedRows: [0],
      codes,
      clampsAt: () => [...arm.clamps.keys()],
    });
  };

  it("gives what the encoder and the clamps' arithmetic give, bit by bit, up to the first wrong guess, and reads the encoder once for all tokens", async () => {
    const draft = new Draft(weights, encode, new RankBounds(), arms, { low: 0.24, high: 0.24 });
    const found = { right: 0, wrong: 0, several: 0 };
    for (let block = 0; block < 40; block++) {
      const given: { states: Float32Array; output: Float32Array }[] = [];
      const before = encoded;
      let report = null;
      for (let token = 0; !report; token++) {
        const states = statesOf(100 * block + token);
        given.push({ states, output: states.slice() });
        report = await draft.step(given[token]?.output as Float32Array, members, token === 3);
      }
      expect(encoded - before).toBe(1);
      expect(given).toHaveLength(4);
      const { wrong, tokens: checked } = checkedOf(report);
      const right = wrong ?? 4;
      found.right += right;
      if (right > 1) found.several++;
      if (wrong !== null) found.wrong++;
      expect(checked).toHaveLength(right);
      for (const [at, { states, output }] of given.slice(0, right).entries()) {
        for (const member of members) {
          const slab = await wanted(states, member);
          expect(output.subarray(member * width, (member + 1) * width)).toEqual(slab.output);
          const told = checked[at]?.get(member);
          if (!arms[member]) expect(told).toBeUndefined();
          else expect(told?.slab).toEqual({ ...slab, reference: told?.state });
        }
      }
    }
    expect(Math.min(found.right, found.wrong, found.several)).toBeGreaterThan(3);
  });

  it("says which token's guess was wrong, leaves the token that it was asked about as it came, and begins anew", async () => {
    const draft = new Draft(weights, encode, new RankBounds(), arms, guesses.none);
    const [first, second, third] = [statesOf(1), statesOf(2), statesOf(3)];
    expect(await draft.step(first, members, true)).toMatchObject({ wrong: -1 });
    expect(await draft.step(second, members, false)).toBeNull();
    const before = third.slice();
    const report = await draft.step(third, members, true);
    expect(report).toMatchObject({ wrong: 0, tokens: new Int32Array(0), changes: new Float64Array(0) });
    expect(third).toEqual(before);
    expect(await draft.step(new Float32Array(0), [], true)).toMatchObject({ wrong: -1, tokens: new Int32Array(0) });
    expect((await draft.step(third, members, true))?.tokens).toEqual(Int32Array.of(0, 0, 0));
  });

  it("guesses no more where the encoder's sums have other bits", async () => {
    const other = async (states: Float32Array[]) => {
      const codes = await encode(states);
      return { ...codes, values: codes.values.map((x) => Math.fround(x * (1 + 2e-7))) };
    };
    const bounds = new RankBounds();
    const draft = new Draft(weights, other, bounds, arms, guesses.all);
    await draft.step(statesOf(1), members, false);
    await draft.step(statesOf(2), members, true);
    expect(bounds.useless).toBe(true);
    expect(await draft.step(statesOf(3), members, false)).not.toBeNull();
  });

  it("goes on guessing after one sum in a great many that was rounded otherwise, and not where such sums are many", async () => {
    let odd = false;
    const mostly = async (states: Float32Array[]) => {
      const codes = await encode(states);
      return odd ? { ...codes, values: codes.values.map((x) => Math.fround(x * (1 + 2e-7))) } : codes;
    };
    const bounds = new RankBounds();
    const draft = new Draft(weights, mostly, bounds, arms, { low: 0.24, high: 0.24 });
    let token = 0;
    const block = async () => {
      for (let i = 0; i < 4; i++) await draft.step(statesOf(token++), members, i === 3);
    };
    while (bounds.same < 200 && token < 1000) await block();
    odd = true;
    while (bounds.other === 0 && token < 2000) await block();
    expect([bounds.same >= 200, bounds.other < 4, bounds.useless]).toEqual([true, true, false]);
    while (!bounds.useless && token < 3000) await block();
    expect(bounds.other).toBeLessThan(10);
    expect(bounds.useless).toBe(true);
  });

  it("is not for the paper's mode, nor for two clamps that write one feature", () => {
    const [arm] = arms as [TokenClamps];
    expect(canDraft(arm)).toBe(true);
    expect(canDraft({ ...arm, mode: "reconstruct" })).toBe(false);
    expect(canDraft({ ...arm, clamps: [clamp(1, "add", 1), clamp(1, "add", 2)] })).toBe(false);
  });
});
