/** Conformance, second part: what a run tells beside its texts, sweeps, and prompts of several pictures, turns or none. */
import { expect, it } from "vitest";
import { planClamps, scopePositions } from "@/lib/core/clamp";
import type { Arm, EngineEvent, GenerateRequest, GenerateRequestInput, Receipt, Scope } from "@/lib/core/protocol";
import { logSoftmax } from "@/lib/core/sampling";
import {
  type Capabilities,
  type ClampInput,
  checkRequestedChange,
  type EngineUnderTest,
  expectSameLogits,
  latents,
  nearly,
  type Outcome,
  pictures,
  rowOf,
  runAll,
} from "./conformance-checks";
import type { HookEvent } from "./engine";

/** What the suite has found out about the subject before its tests run. */
export interface Known {
  subject: EngineUnderTest;
  /** Strongest features of the first picture. */
  active: number[];
  /** One that is inactive at every position of the usual question and of `words`. */
  inactive: number;
  words: number[];
  request(clamps?: ClampInput[], more?: Partial<GenerateRequestInput>): GenerateRequest;
  /** Set, scale, add and ablate over different scopes, several clamps at some positions. */
  mixture(): ClampInput[];
}

type Token = Extract<EngineEvent, { type: "token" }>;

const question = { type: "text", text: "what do you see ?" } as const;
const [first, second] = pictures.map((image) => ({ type: "image", image }) as const) as [
  { type: "image"; image: { sha256: string } },
  { type: "image"; image: { sha256: string } },
];

const tokensOf = (outcome: Outcome, arm: Arm) =>
  outcome.events.filter((event): event is Token => event.type === "token" && event.arm === arm);
const hooksOf = (outcome: Outcome, arm: Arm) => outcome.hooks[arm] as HookEvent[];
const receiptOf = (outcome: Outcome, arm: Arm) => outcome.receipts[arm] as Receipt;

export function describeReports(known: () => Known, { exactBeside, exactLogprobs }: Capabilities): void {
  const forced = (arms: Arm[], words = known().words) => ({ force: Object.fromEntries(arms.map((arm) => [arm, words])) });
  const planOf = async (asked: GenerateRequest) =>
    planClamps(asked.interventions, {
      layout: await known().subject.layout(asked),
      mode: asked.mode,
      numLatents: known().subject.weights.numLatents,
      maxTokens: asked.sampling.maxTokens,
      unitOf: () => 1,
    });

  it("runs each point of a sweep as the same clamps alone would run", async () => {
    const { subject, request, active, inactive } = known();
    const clamps = (value: number): ClampInput[] => [
      { feature: active[1] as number, op: "ablate", scope: { type: "image" } },
      { feature: inactive, op: "add", value, unit: "raw", scope: { type: "all" } },
      { feature: active[0] as number, op: "set", value: 2, unit: "raw", scope: { type: "region", image: 0, cells: [3, 4] } },
    ];
    const values = [-6, 0, 2.5, 12];
    const outcome = await runAll(subject, request(clamps(1), { sweep: { clamp: 1, values } }));
    expect(outcome.events.find((event) => event.type === "meta")?.arms).toEqual([
      "steered",
      "baseline",
      ...values.map((_, point) => `sweep:${point}`),
    ]);
    for (const [point, value] of values.entries()) {
      const alone = await runAll(subject, request(clamps(value), { controls: [] }));
      const arm: Arm = `sweep:${point}`;
      expectSameLogits(outcome.logits[arm], alone.logits.steered, exactBeside);
      expect(outcome.tokens[arm]).toEqual(alone.tokens.steered);
      const { prefill, decode, clamps: counted, text } = receiptOf(alone, "steered");
      expect(receiptOf(outcome, arm)).toMatchObject({
        sweep: { point, clamp: 1, value },
        outcome: "steered",
        prefill,
        decode,
        clamps: exactBeside ? counted : nearly(counted, 3),
        text,
      });
    }
    expect(receiptOf(outcome, "steered").sweep).toBeUndefined();
  });

  it.each([
    ["clamps on the picture", {}, "image"],
    ["clamps on generated tokens too", { activeFeatures: 4 }, "all"],
    ["clamps everywhere, told without features", {}, "all"],
    ["mode reconstruct", { mode: "reconstruct" }, "all"],
  ] as const)("writes and tells the same whether or not anybody looks at the hook: %s", async (_, more, type) => {
    const { subject, request, active, inactive, words } = known();
    const clamps: ClampInput[] = [
      { feature: active[0] as number, op: "add", value: 5, unit: "raw", scope: { type } },
      { feature: active[3] as number, op: "scale", value: -1, scope: { type } },
      { feature: inactive, op: "set", value: 3, unit: "raw", scope: { type } },
    ];
    const controls = ["baseline", "negated", "random", "reconstruction"] as const;
    const asked = request(clamps, { ...more, controls: [...controls] });
    const tap = forced(["steered", ...controls], words);
    const seen = await runAll(subject, asked, { tap });
    const logits: Partial<Record<Arm, Float32Array[]>> = {};
    const options = { signal: new AbortController().signal, resolveImage: subject.resolveImage, unitOf: () => 1 };
    const onLogits = (arm: Arm, _: number, row: Float32Array) => {
      logits[arm] = [...(logits[arm] ?? []), row.slice()];
    };
    const told: EngineEvent[] = [];
    for await (const event of subject.engine.generate(asked, { ...options, tap: { ...tap, onLogits } })) told.push(event);
    const untimed = (events: EngineEvent[]) =>
      events.map((event) => (event.type === "receipt" ? { ...event, receipt: { ...event.receipt, timingsMs: null } } : event));
    const wanted = untimed(seen.events);
    expect(untimed(told)).toEqual(exactBeside ? wanted : nearly(wanted, 3));
    for (const arm of ["steered", ...controls] as const) expectSameLogits(logits[arm], seen.logits[arm], exactBeside);
  });

  it("says of a sweep's point that changes nothing that it is unchanged, and runs as many points as the contract allows", async () => {
    const { subject, request, active } = known();
    const clamp: ClampInput = { feature: active[0] as number, op: "scale", value: 3, scope: { type: "image" } };
    const values = Array.from({ length: 16 }, (_, i) => i / 2 - 1);
    const outcome = await runAll(subject, request([clamp], { sweep: { clamp: 0, values }, sampling: { maxTokens: 3 } }));
    for (const [point, value] of values.entries()) {
      expect(receiptOf(outcome, `sweep:${point}`)).toMatchObject(
        value === 1 ? { outcome: "unchanged", reason: expect.stringContaining("already"), fromBaseline: 0 } : { outcome: "steered" },
      );
    }
    expect(outcome.logits["sweep:4"]).toEqual(outcome.logits.baseline);
    expect(outcome.events.at(-1)).toEqual({ type: "done" });
  });

  it("refuses a sweep of a clamp that is not there or has no strength", async () => {
    const { subject, request } = known();
    const clamps: ClampInput[] = [{ feature: 0, op: "ablate" }];
    for (const [clamp, message] of [
      [1, /clamp 1/],
      [0, /no strength/],
    ] as const) {
      const run = runAll(subject, request(clamps, { sweep: { clamp, values: [1] } }));
      await expect(run).rejects.toMatchObject({ code: "invalid_request", message: expect.stringMatching(message) });
    }
  });

  it("says of a point that ended before a clamp on generated tokens met one that nothing was changed, and why", async () => {
    const { subject, request, inactive, words } = known();
    const asked = request([{ feature: inactive, op: "set", value: 1, unit: "raw", scope: { type: "generated" } }], {
      sweep: { clamp: 0, values: [3] },
    });
    const outcome = await runAll(subject, asked, { tap: { force: { steered: words, baseline: words, "sweep:0": [] } } });
    expect(receiptOf(outcome, "sweep:0")).toMatchObject({
      outcome: "unchanged",
      reason: expect.stringContaining("answer ended"),
      text: "",
    });
    expect(receiptOf(outcome, "sweep:0").clamps[0]).toMatchObject({ meanReencoded: null });
    expect(receiptOf(outcome, "steered").outcome).toBe("steered");
  });

  it("gives the probabilities that its logits have: of the chosen token, its alternatives and the watched words", async () => {
    const { subject, request, inactive } = known();
    const { alternatives } = tokensOf(await runAll(subject, request([], { alternatives: 10 })), "steered")[0] as Token;
    const watch = alternatives.map(({ text }) => text.trim()).filter((word) => /^\p{L}+$/u.test(word));
    expect(watch.length).toBeGreaterThan(2);
    const asked = request([{ feature: inactive, op: "set", value: 8, unit: "raw", scope: { type: "all" } }], { watch, alternatives: 4 });
    const outcome = await runAll(subject, asked);
    const meta = outcome.events.find((event) => event.type === "meta");
    const words = meta?.watch ?? [];
    expect(words.map(({ word }) => word)).toEqual(watch);
    for (const arm of ["steered", "baseline"] as const) {
      const logits = outcome.logits[arm] as Float32Array[];
      const seen = logits.map((row) => logSoftmax(row));
      const watched = seen.map((logprobs) =>
        words.map(({ ids }) => Math.log(ids.reduce((sum, id) => sum + Math.exp(logprobs[id] as number), 0))),
      );
      for (const [i, token] of tokensOf(outcome, arm).entries()) {
        const logprobs = seen[i] as Float64Array;
        const told = [token.logprob, ...token.alternatives.map(({ logprob }) => logprob)];
        const wanted = [logprobs[token.id], ...[...logprobs].sort((a, b) => b - a).slice(0, 4)];
        expect(told).toEqual(exactLogprobs ? wanted : nearly(wanted, 9));
        token.watched?.forEach((value, word) => {
          expect(value).toBeCloseTo(watched[i]?.[word] as number, 9);
        });
        expect(token.watched).toHaveLength(watch.length);
      }
      for (const [word, told] of (receiptOf(outcome, arm).watched ?? []).entries()) {
        const over = watched.map((place) => place[word] as number);
        expect(told).toMatchObject({ word: watch[word], peakAt: over.indexOf(Math.max(...over)) });
        expect(told.first).toBeCloseTo(over[0] as number, 9);
        expect(told.peak).toBeCloseTo(Math.max(...over), 9);
      }
    }
    const [own, base] = (["steered", "baseline"] as const).map((arm) => logSoftmax(outcome.logits[arm]?.[0] as Float32Array));
    const apart = Array.from(own as Float64Array, (x, id) => Math.abs(Math.exp(x) - Math.exp(base?.[id] as number)));
    expect(receiptOf(outcome, "steered").fromBaseline).toBeCloseTo(apart.reduce((a, b) => a + b) / 2, 9);
    expect(receiptOf(outcome, "baseline").fromBaseline).toBe(0);
    const lone = await runAll(subject, request([], { controls: [] }));
    expect(receiptOf(lone, "steered")).toMatchObject({ fromBaseline: null });
    expect(receiptOf(lone, "steered").watched).toBeUndefined();
  });

  it("refuses to watch a word that the model cannot write", async () => {
    const { subject, request } = known();
    const run = runAll(subject, request([], { watch: [subject.unwritable] }));
    await expect(run).rejects.toMatchObject({ code: "word_unknown", message: expect.stringContaining(subject.unwritable) });
  });

  it("lists the features on each token as it was and as the upper half is given it, and changes no answer by that", async () => {
    const { subject, request, active, words } = known();
    // A feature that fires somewhere: a dead one's encoder need not find what its decoder writes.
    const clamped = active[0] as number;
    const clamps: ClampInput[] = [{ feature: clamped, op: "add", value: 60, unit: "raw", scope: { type: "generated" } }];
    const more = { controls: ["baseline" as const], sampling: { maxTokens: words.length } };
    const tap = forced(["steered", "baseline"]);
    const plain = await runAll(subject, request(clamps, more), { tap });
    const outcome = await runAll(subject, request(clamps, { ...more, activeFeatures: 5 }), { tap });
    const bare = ({ timingsMs: _, ...rest }: Receipt) => rest;
    const wanted = bare(receiptOf(plain, "steered"));
    expect(bare(receiptOf(outcome, "steered"))).toEqual(exactBeside ? wanted : nearly(wanted, 3));
    for (const arm of ["steered", "baseline"] as const) expectSameLogits(outcome.logits[arm], plain.logits[arm], exactBeside);
    for (const arm of ["steered", "baseline"] as const) {
      const passes = hooksOf(outcome, arm).slice(1);
      const tokens = tokensOf(outcome, arm);
      // The last one never enters the upper half; it is looked at all the same.
      expect(passes).toHaveLength(tokens.length - 1);
      for (const [i, { features }] of tokens.entries()) {
        expect(features).toHaveLength(5);
        const pass = passes[i];
        if (!pass) continue;
        const [own, given] = [latents(subject.weights, pass.hidden), latents(subject.weights, pass.output)];
        for (const { index, before, after } of features ?? []) {
          expect(before).toBeCloseTo(own.get(index) ?? 0, 3);
          expect(after).toBeCloseTo(given.get(index) ?? 0, 3);
        }
      }
      const listed = tokens.map(({ features }) => features?.find(({ index }) => index === clamped));
      if (arm === "baseline") expect(listed.every((feature) => !feature || feature.before === feature.after)).toBe(true);
      else for (const feature of listed) expect(feature?.after).toBeGreaterThan(feature?.before as number);
    }
    expect(tokensOf(plain, "steered").every(({ features }) => features === undefined)).toBe(true);
  });

  it.each(["delta", "reconstruct"] as const)("gives the activation that encoding the changed state finds, in mode %s", async (mode) => {
    const { subject, request, active, inactive, words } = known();
    const controls = ["negated", "random"] as const;
    const asked = request(
      [
        { feature: active[0] as number, op: "ablate", scope: { type: "image" } },
        { feature: inactive, op: "set", value: 7, unit: "raw", scope: { type: "all" } },
        { feature: active[2] as number, op: "scale", value: 1, scope: { type: "prompt" } },
      ],
      { mode, controls: [...controls] },
    );
    const outcome = await runAll(subject, asked, { tap: forced(["steered", ...controls], words) });
    const plan = await planOf(asked);
    for (const arm of ["steered", ...controls] as const) {
      for (const [index, { positions, generated }] of plan.clamps.entries()) {
        const told = receiptOf(outcome, arm).clamps[index];
        const found = hooksOf(outcome, arm).flatMap((event) => {
          const rows = event.first === 0 ? positions : generated ? [0] : [];
          return rows.map((row) => latents(subject.weights, rowOf(event, "output", row)).get(told?.feature as number) ?? 0);
        });
        expect(found.length).toBeGreaterThan(0);
        expect(told?.meanReencoded).toBeCloseTo(found.reduce((a, b) => a + b) / found.length, 2);
      }
    }
    const [ablated, set] = receiptOf(outcome, "steered").clamps;
    expect(ablated?.meanAfter).toBe(0);
    expect(set?.meanAfter).toBe(7);
  });

  it("acts on the second of two different pictures, in its painted cells only, and names each picture", async () => {
    const { subject, request, inactive, words } = known();
    const scope: Scope = { type: "region", image: 1, cells: [7, 30, 31] };
    const asked = request([{ feature: inactive, op: "set", value: -5, unit: "raw", scope }], {
      messages: [{ role: "user", content: [first, second, question] }],
    });
    const outcome = await runAll(subject, asked, { tap: forced(["steered", "baseline"], words) });
    const plan = await planOf(asked);
    const [steered, baseline] = [hooksOf(outcome, "steered"), hooksOf(outcome, "baseline")];
    expect(plan.positions).toEqual(scopePositions(scope, plan.layout));
    expect(checkRequestedChange(subject.weights, plan, steered, baseline)).toBe(3);
    expect(receiptOf(outcome, "steered")).toMatchObject({
      prompt: { images: [first.image.sha256, second.image.sha256] },
      prefill: { image: { planned: 3, changed: 3 }, text: { planned: 0, changed: 0 } },
      decode: { planned: 0, changed: 0 },
    });
    const [one, two] = plan.layout.images;
    const cell = (start: number) => rowOf(baseline[0] as HookEvent, "hidden", start + 40);
    expect(cell(one?.start as number)).not.toEqual(cell(two?.start as number));
  });

  it("clamps prompts of several turns, with pictures in some of them, and of words alone, as asked", async () => {
    const { subject, request, inactive, words } = known();
    const answer = { role: "assistant" as const, content: [{ type: "text" as const, text: "a dog" }] };
    const prompts: [GenerateRequestInput["messages"], number][] = [
      [[{ role: "user", content: [first, question] }, answer, { role: "user", content: [second, question] }], 2],
      [[{ role: "user", content: [question] }, answer, { role: "user", content: [second, question] }], 1],
      [[{ role: "user", content: [question] }], 0],
    ];
    for (const [messages, images] of prompts) {
      const clamps: ClampInput[] = [
        { feature: inactive, op: "set", value: -4, unit: "raw", scope: { type: "prompt" } },
        { feature: inactive, op: "add", value: 3, unit: "raw", scope: { type: "generated" } },
      ];
      const asked = request(clamps, { messages });
      const outcome = await runAll(subject, asked, { tap: forced(["steered", "baseline"], words) });
      const plan = await planOf(asked);
      expect(plan.layout.images).toHaveLength(images);
      const inPictures = plan.layout.images.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
      expect(checkRequestedChange(subject.weights, plan, hooksOf(outcome, "steered"), hooksOf(outcome, "baseline"))).toBe(
        plan.layout.length - inPictures + words.length,
      );
      expect(receiptOf(outcome, "steered").prefill.image).toEqual({ planned: 0, changed: 0 });
    }
  });
}
