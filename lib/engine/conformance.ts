/**
 * What every engine must hold to, as test cases over a real model. An implementation's own test file calls `describeEngine` with a factory.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { planClamps } from "@/lib/core/clamp";
import { type GenerateRequest, type GenerateRequestInput, generateRequestSchema, type Scope } from "@/lib/core/protocol";
import { describeReceipt } from "@/lib/core/receipt";
import { describeAttribution } from "./conformance-attribution";
import {
  type ClampInput,
  checkRequestedChange,
  type EngineUnderTest,
  type Factory,
  latents,
  norm,
  type Outcome,
  pictures,
  rowOf,
  runAll,
} from "./conformance-checks";
import { describeReports } from "./conformance-reports";
import { describeService } from "./conformance-service";
import type { HookEvent } from "./engine";

const [image] = pictures;
const picture = { type: "image", image } as const;
const question = { type: "text", text: "what do you see ?" } as const;

const numbersTo = (n: number) => Array.from({ length: n }, (_, i) => i);

export function describeEngine(name: string, factory: Factory): void {
  const { capabilities } = factory;
  describe(`conformance: ${name}`, { timeout: 120_000 }, () => {
    let subject: EngineUnderTest;
    /** Strongest features of the picture, and one that is inactive at every position of the question and of `words`. */
    let active: number[];
    let inactive: number;
    let peakCell: number;
    /** Some words to write where an answer's length must not depend on the model. */
    let words: number[];

    const request = (clamps: ClampInput[] = [], more: Partial<GenerateRequestInput> = {}): GenerateRequest =>
      generateRequestSchema.parse({
        dictionary: subject.dictionary,
        messages: [{ role: "user", content: [picture, question] }],
        interventions: clamps,
        sampling: { maxTokens: 9 },
        ...more,
      } satisfies GenerateRequestInput);

    const forced = () => ({ force: { steered: words, baseline: words, negated: words, random: words, reconstruction: words } });
    const planOf = async (asked: GenerateRequest) =>
      planClamps(asked.interventions, {
        layout: await subject.layout(asked),
        mode: asked.mode,
        numLatents: subject.weights.numLatents,
        maxTokens: asked.sampling.maxTokens,
        unitOf: () => 1,
      });
    const hooksOf = (outcome: Outcome, arm: "steered" | "baseline" | "negated" | "random" | "reconstruction") =>
      outcome.hooks[arm] as HookEvent[];

    beforeAll(async () => {
      subject = await factory.create({ concurrency: 2, bound: 8 });
      const signal = new AbortController().signal;
      const found = await subject.engine.features(
        { dictionary: subject.dictionary, image, limit: 512 },
        { signal, resolveImage: subject.resolveImage },
      );
      active = found.features.map(({ index }) => index);
      const [first] = found.features;
      if (!first) throw new Error("The picture does not suit these tests: no feature fires on it.");
      peakCell = first.map.positions[first.map.values.indexOf(first.peak)] as number;
      words = (await subject.plainGreedy(request(), 8)).slice(0, 8);
      while (words.length < 8) words.push(words[0] ?? 10);
      const { hooks } = await runAll(subject, request([], { controls: [] }), { tap: forced() });
      const seen = new Set<number>();
      for (const event of hooks.steered as HookEvent[]) {
        for (const row of numbersTo(event.rows))
          for (const feature of latents(subject.weights, rowOf(event, "hidden", row)).keys()) seen.add(feature);
      }
      inactive = numbersTo(subject.weights.numLatents).find((feature) => !seen.has(feature)) as number;
    }, 120_000);

    afterAll(async () => factory.destroy?.(subject));

    /** Set, scale, add and ablate over different scopes, several clamps at some positions. */
    const mixture = (): ClampInput[] => [
      { feature: active[0] as number, op: "set", value: 3, unit: "raw", scope: { type: "all" } },
      { feature: active[1] as number, op: "scale", value: -2, scope: { type: "image" } },
      { feature: active[2] as number, op: "ablate", scope: { type: "region", image: 0, cells: [0, peakCell, 17] } },
      { feature: inactive, op: "add", value: 2.5, unit: "raw", scope: { type: "generated" } },
      { feature: active[3] as number, op: "add", value: -1.25, unit: "raw", scope: { type: "prompt" } },
    ];

    it("finds the features that the dictionary's own arithmetic finds", async () => {
      const { hooks } = await runAll(subject, request([], { sampling: { maxTokens: 1 } }));
      const layout = await subject.layout(request());
      const row = rowOf((hooks.baseline as HookEvent[])[0] as HookEvent, "hidden", (layout.images[0]?.start as number) + peakCell);
      const own = latents(subject.weights, row);
      expect(own.get(active[0] as number)).toBeGreaterThan(0);
    });

    it("changes not one bit of the logits where a feature is set to the value it has", async () => {
      const region: Scope = { type: "region", image: 0, cells: [peakCell] };
      const feature = active[0] as number;
      const probe = await runAll(subject, request([{ feature, op: "add", value: 0, unit: "raw", scope: region }]));
      const present = probe.receipts.steered?.clamps[0]?.meanBefore as number;
      expect(present).toBeGreaterThan(0);
      const outcome = await runAll(subject, request([{ feature, op: "set", value: present, unit: "raw", scope: region }]));
      expect(outcome.logits.steered).toEqual(outcome.logits.baseline);
      expect(outcome.receipts.steered).toMatchObject({
        outcome: "unchanged",
        reason: expect.stringContaining("already"),
        relativeNorm: null,
      });
      expect(outcome.receipts.steered?.prefill.image).toEqual({ planned: 1, changed: 0 });
      const scaled = await runAll(subject, request([{ feature, op: "scale", value: 1, scope: { type: "all" } }]));
      expect(scaled.logits.steered).toEqual(scaled.logits.baseline);
      expect(scaled.receipts.steered?.outcome).toBe("unchanged");
    });

    it("equals baseline without clamps", async () => {
      const outcome = await runAll(subject, request());
      expect(outcome.logits.steered).toEqual(outcome.logits.baseline);
      expect(outcome.tokens.steered).toEqual(outcome.tokens.baseline);
      expect(outcome.receipts.steered).toMatchObject({ outcome: "unchanged", clamps: [] });
      expect(outcome.receipts.baseline).toMatchObject({ outcome: "baseline", reason: null, clamps: [], relativeNorm: null });
    });

    it("changes the state by exactly what is asked, at every position of the prompt and every token, and nowhere else", async () => {
      const asked = request(mixture());
      const outcome = await runAll(subject, asked, { tap: forced() });
      const plan = await planOf(asked);
      expect(hooksOf(outcome, "steered")).toHaveLength(1 + words.length);
      const changed = checkRequestedChange(subject.weights, plan, hooksOf(outcome, "steered"), hooksOf(outcome, "baseline"));
      expect(changed).toBe(plan.layout.length + words.length);
      for (const [i, event] of hooksOf(outcome, "steered").entries()) expect(event.hidden).toEqual(hooksOf(outcome, "baseline")[i]?.hidden);
    });

    it("leaves positions out of scope untouched", async () => {
      const cells = [0, 5, peakCell];
      const asked = request([
        { feature: active[0] as number, op: "add", value: 4, unit: "raw", scope: { type: "region", image: 0, cells } },
      ]);
      const outcome = await runAll(subject, asked, { tap: forced() });
      expect(checkRequestedChange(subject.weights, await planOf(asked), hooksOf(outcome, "steered"), hooksOf(outcome, "baseline"))).toBe(
        new Set(cells).size,
      );
    });

    it("notices a clamp that is lost after the prefill, in the check and in the receipt", async () => {
      const asked = request([{ feature: inactive, op: "set", value: 5, unit: "raw", scope: { type: "all" } }]);
      const plan = await planOf(asked);
      const onHidden = ({ arm, first, hidden, output }: HookEvent) => {
        if (arm === "steered" && first >= plan.layout.length) output.set(hidden);
      };
      const outcome = await runAll(subject, asked, { tap: { ...forced(), onHidden } });
      expect(() => checkRequestedChange(subject.weights, plan, hooksOf(outcome, "steered"), hooksOf(outcome, "baseline"))).toThrow(
        `position ${plan.layout.length}`,
      );
      if (!capabilities.tapWrites) return;
      expect(outcome.receipts.steered?.decode).toEqual({ planned: words.length, changed: 0 });
      expect(outcome.receipts.steered?.clamps[0]?.generated).toEqual({ planned: words.length, changed: 0 });
    });

    if (capabilities.tapWrites) {
      it("never calls an answer steered whose changes were lost everywhere", async () => {
        const asked = request([{ feature: inactive, op: "set", value: 5, unit: "raw", scope: { type: "all" } }]);
        const onHidden = ({ hidden, output }: HookEvent) => output.set(hidden);
        const { receipts } = await runAll(subject, asked, { tap: { onHidden } });
        expect(receipts.steered).toMatchObject({ outcome: "unchanged", reason: expect.any(String), relativeNorm: null });
      });
    }

    it("ablates exactly the feature's own part", async () => {
      const feature = active[0] as number;
      const outcome = await runAll(subject, request([{ feature, op: "ablate", scope: { type: "image" } }]), { tap: forced() });
      const [steered] = hooksOf(outcome, "steered") as [HookEvent];
      const { width, decoder } = subject.weights;
      const row = decoder.subarray(feature * width, (feature + 1) * width);
      let removed = 0;
      for (let position = 0; position < steered.rows; position++) {
        const before = rowOf(steered, "hidden", position);
        const activation = latents(subject.weights, before).get(feature) ?? 0;
        const difference = Float64Array.from(rowOf(steered, "output", position), (x, j) => x - (before[j] as number));
        if (norm(difference) === 0) continue;
        removed++;
        expect(norm(difference.map((x, j) => x + activation * (row[j] as number)))).toBeLessThan(1e-4 * activation);
      }
      expect(removed).toBeGreaterThan(0);
      expect(outcome.receipts.steered?.prefill.image.changed).toBe(removed);
      expect(outcome.receipts.steered?.clamps[0]?.meanAfter).toBe(0);
    });

    it("ends as unchanged, with the reason, where an inactive feature is ablated", async () => {
      const outcome = await runAll(subject, request([{ feature: inactive, op: "ablate", scope: { type: "image" } }]));
      const receipt = outcome.receipts.steered;
      expect(receipt).toMatchObject({ outcome: "unchanged", reason: expect.stringContaining("inactive") });
      expect(outcome.logits.steered).toEqual(outcome.logits.baseline);
      if (receipt) expect(describeReceipt(receipt)).toMatch(/^Nothing was changed: .*inactive/);
    });

    it("does not depend on the order of the clamps", async () => {
      const forwards = await runAll(subject, request(mixture()), { tap: forced() });
      const backwards = await runAll(subject, request(mixture().reverse()), { tap: forced() });
      expect(backwards.logits.steered).toEqual(forwards.logits.steered);
    });

    it("counts what the scopes cover", async () => {
      const asked = request([{ feature: inactive, op: "set", value: 5, unit: "raw", scope: { type: "all" } }]);
      const { receipts } = await runAll(subject, asked, { tap: forced() });
      const layout = await subject.layout(asked);
      const images = layout.images.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
      expect(receipts.steered).toMatchObject({
        outcome: "steered",
        finish: "stop",
        tokens: words.length,
        prefill: {
          image: { planned: images, changed: images },
          text: { planned: layout.length - images, changed: layout.length - images },
        },
        decode: { planned: words.length, changed: words.length },
      });
      expect(receipts.steered?.clamps[0]).toMatchObject({ meanBefore: 0, meanAfter: 5, unitActivation: 1 });
      expect(receipts.steered?.relativeNorm).toBeGreaterThan(0);
    });

    const nowhere: [string, ClampInput, Partial<GenerateRequestInput>, RegExp][] = [
      ["an index out of range", { feature: 1_000_000 }, {}, /features 0 to/],
      ["an image's scope without an image", { feature: 0 }, { messages: [{ role: "user", content: [question] }] }, /the prompt has none/],
      ["a region of an image that is not there", { feature: 0, scope: { type: "region", image: 3, cells: [0] } }, {}, /image 4/],
      ["a cell outside the grid", { feature: 0, scope: { type: "region", image: 0, cells: [0, 60_000] } }, {}, /cell 60000/],
      [
        "generated tokens where one is written",
        { feature: 0, scope: { type: "generated" } },
        { sampling: { maxTokens: 1 } },
        /no generated token/,
      ],
      ["generated tokens in mode reconstruct", { feature: 0, scope: { type: "generated" } }, { mode: "reconstruct" }, /prompt only/],
    ];
    it.each(nowhere)("refuses %s, saying why", async (_, clamp, more, reason) => {
      const run = runAll(subject, request([{ unit: "raw", ...clamp }], more));
      await expect(run).rejects.toMatchObject({ code: "clamp_nowhere", message: expect.stringMatching(reason) });
    });

    it("ends with an error where the answer ends before a clamp on generated tokens meets one", async () => {
      const asked = request([{ feature: inactive, op: "set", value: 1, unit: "raw", scope: { type: "generated" } }]);
      const run = runAll(subject, asked, { tap: { force: { steered: [], baseline: [] } } });
      await expect(run).rejects.toMatchObject({ code: "clamp_nowhere", message: expect.stringContaining("answer ended") });
    });

    it("refuses two clamps of one feature whose scopes overlap, and takes them where they do not", async () => {
      const clamp = (type: "image" | "all" | "prompt", op: "set" | "ablate"): ClampInput => ({
        feature: 3,
        op,
        unit: "raw",
        scope: { type },
      });
      await expect(runAll(subject, request([clamp("image", "set"), clamp("all", "ablate")]))).rejects.toMatchObject({
        code: "clamp_overlap",
      });
      const apart = await runAll(subject, request([clamp("image", "set"), clamp("prompt", "set")]));
      expect(apart.receipts.steered?.outcome).toBe("steered");
    });

    it("refuses a unit that a feature does not have", async () => {
      const asked = request([{ feature: inactive, op: "set", value: 1, unit: "max" }]);
      await expect(runAll(subject, asked, { unitOf: () => 0 })).rejects.toMatchObject({ code: "invalid_request" });
      const inUnits = await runAll(subject, asked, { unitOf: () => 2.5 });
      expect(inUnits.receipts.steered?.clamps[0]).toMatchObject({ unitActivation: 2.5, meanAfter: 2.5 });
    });

    it("repeats an answer with its seed", async () => {
      const sampled = (seed: number) => runAll(subject, request([], { sampling: { maxTokens: 16, temperature: 4, seed }, controls: [] }));
      const [first, again, other] = [await sampled(5), await sampled(5), await sampled(6)];
      expect(again.tokens).toEqual(first.tokens);
      expect(other.tokens).not.toEqual(first.tokens);
    });

    it("writes as baseline what the whole model writes without any dictionary", async () => {
      const asked = request(mixture(), { sampling: { maxTokens: 12 } });
      const { tokens, receipts } = await runAll(subject, asked);
      expect(tokens.baseline ?? []).toEqual(await subject.plainGreedy(asked, 12));
      expect(receipts.baseline?.decode).toEqual({ planned: 0, changed: 0 });
    });

    it("answers without a picture, over several turns and about several pictures", async () => {
      const turns = request([{ feature: inactive, op: "add", value: 1, unit: "raw", scope: { type: "region", image: 1, cells: [2] } }], {
        messages: [
          { role: "user", content: [picture, question] },
          { role: "assistant", content: [{ type: "text", text: "a dog" }] },
          { role: "user", content: [picture, { type: "text", text: "where is it ?" }] },
        ],
      });
      const outcome = await runAll(subject, turns, { tap: forced() });
      const layout = await subject.layout(turns);
      expect(layout.images).toHaveLength(2);
      expect(checkRequestedChange(subject.weights, await planOf(turns), hooksOf(outcome, "steered"), hooksOf(outcome, "baseline"))).toBe(1);
      const text = await runAll(subject, request([], { messages: [{ role: "user", content: [question] }] }));
      expect(text.receipts.baseline?.prefill.image).toEqual({ planned: 0, changed: 0 });
    });

    it("runs its controls: the opposite, a random feature of equal norm, and the dictionary alone", async () => {
      const asked = request([{ feature: active[0] as number, op: "set", value: 3, unit: "raw", scope: { type: "image" } }], {
        controls: ["baseline", "negated", "random", "reconstruction"],
      });
      const outcome = await runAll(subject, asked, { tap: forced() });
      const [[steered], [negated], [random], [reconstruction]] = (["steered", "negated", "random", "reconstruction"] as const).map((arm) =>
        hooksOf(outcome, arm),
      ) as [HookEvent[], HookEvent[], HookEvent[], HookEvent[]] as [[HookEvent], [HookEvent], [HookEvent], [HookEvent]];
      const { width, decoder, decoderBias } = subject.weights;
      const substitute = outcome.receipts.random?.clamps[0]?.feature as number;
      expect(substitute).not.toBe(active[0]);
      for (const row of [0, steered.rows - 1, steered.rows >> 1, steered.rows >> 2]) {
        const before = rowOf(steered, "hidden", row);
        const moved = (event: HookEvent) => Float64Array.from(rowOf(event, "output", row), (x, j) => x - (before[j] as number));
        const asIs = moved(steered);
        expect(norm(moved(negated).map((x, j) => x + (asIs[j] as number)))).toBeLessThanOrEqual(1e-4 * norm(asIs));
        expect(norm(moved(random))).toBeCloseTo(norm(asIs), 3);
        const whole = Float64Array.from(decoderBias);
        for (const [feature, value] of latents(subject.weights, before)) {
          for (let j = 0; j < width; j++) whole[j] = (whole[j] as number) + value * (decoder[feature * width + j] as number);
        }
        const rebuilt = rowOf(reconstruction, "output", row);
        expect(norm(whole.map((x, j) => x - (rebuilt[j] as number)))).toBeLessThan(1e-3 * norm(whole));
      }
      expect(outcome.receipts.reconstruction).toMatchObject({ outcome: "reconstruction", clamps: [] });
      expect(outcome.receipts.random?.prefill).toEqual(outcome.receipts.steered?.prefill);
    });

    it("clamps the prompt only in mode reconstruct, on top of the reconstruction", async () => {
      const asked = request([{ feature: inactive, op: "set", value: 50, unit: "raw", scope: { type: "all" } }], {
        mode: "reconstruct",
        controls: ["reconstruction"],
      });
      const outcome = await runAll(subject, asked, { tap: forced() });
      const { width, decoder } = subject.weights;
      const [prompt, ...tokens] = hooksOf(outcome, "steered") as [HookEvent, ...HookEvent[]];
      const [plain, ...plainTokens] = hooksOf(outcome, "reconstruction") as [HookEvent, ...HookEvent[]];
      tokens.forEach((event, i) => {
        expect(event.output).toEqual(plainTokens[i]?.output);
      });
      for (let row = 0; row < prompt.rows; row++) {
        const active = latents(subject.weights, rowOf(prompt, "hidden", row));
        const wanted = Float64Array.from(decoder.subarray(inactive * width, (inactive + 1) * width), (x) => 50 * x);
        if (active.size === subject.weights.k) {
          const [weakest, value] = [...active].at(-1) as [number, number];
          for (let j = 0; j < width; j++) wanted[j] = (wanted[j] as number) - value * (decoder[weakest * width + j] as number);
        }
        const before = rowOf(plain, "output", row);
        const difference = Float64Array.from(rowOf(prompt, "output", row), (x, j) => x - (before[j] as number));
        expect(norm(difference.map((x, j) => x - (wanted[j] as number)))).toBeLessThan(1e-3 * norm(wanted));
      }
      expect(outcome.receipts.steered).toMatchObject({ outcome: "steered", decode: { planned: 0, changed: 0 } });
    });

    const known = () => ({ subject, active, inactive, words, request, mixture });
    describeReports(known, capabilities);
    describeService(known, factory);
    describeAttribution(known, capabilities);
  });
}
