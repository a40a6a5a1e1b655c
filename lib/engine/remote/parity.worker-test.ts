/** The demo's checkpoint in a real worker beside the same in this process: the same answers, the same states, the same receipts; and how a real worker ends. */
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttributionEffect, type AttributionResult, attributionRequestSchema } from "@/lib/core/attribution";
import { type EngineEvent, type GenerateRequestInput, generateRequestSchema, type Receipt } from "@/lib/core/protocol";
import { type RunningWorker, startWorker } from "@/lib/workers/start-worker";
import { Worker } from "@/lib/workers/worker";
import { nearly, type Outcome, pictures, runAll } from "../conformance-checks";
import { folder, type LocalSubject, localSubject, manifestOf, resolveImage } from "../conformance-subject";
import type { Engine, HookEvent } from "../engine";
import { RemoteEngine } from "./remote-engine";

const token = "a token of the test's own";
const patience = { connectMs: 3_000, infoMs: 20_000, runMs: 60_000, freshMs: 5_000, retryMs: 0 };
const signal = new AbortController().signal;

let running: RunningWorker;
let local: LocalSubject;
let remote: Engine;
/** Features that fire on the picture, the strongest first. */
let active: number[];

const start = async (...more: string[]) => {
  const { model, dictionaries } = await manifestOf();
  const folders = dictionaries.map((dictionary) => path.join(folder, dictionary.folder));
  return startWorker({ model: folder, modelId: model.id, dictionaries: folders, token, more });
};
const workerAt = (url: string, secret: string | undefined = token) => new Worker({ url: new URL(url), token: secret }, patience);

beforeAll(async () => {
  [running, local] = await Promise.all([start("--taps"), localSubject({ concurrency: 1, bound: 8 })]);
  remote = new RemoteEngine(workerAt(running.url), local.dictionary);
  const found = await local.engine.features({ dictionary: local.dictionary, image: pictures[0], limit: 40 }, { signal, resolveImage });
  active = found.features.map(({ index }) => index);
});
afterAll(() => running?.stop());

const [first, second] = pictures.map((image) => ({ type: "image" as const, image })) as [
  { type: "image"; image: { sha256: string } },
  { type: "image"; image: { sha256: string } },
];
const text = (words: string) => ({ type: "text" as const, text: words });
const ask = (more: Partial<GenerateRequestInput> = {}) =>
  generateRequestSchema.parse({
    dictionary: local.dictionary,
    messages: [{ role: "user", content: [first, text("what do you see ?")] }],
    sampling: { maxTokens: 24 },
    ...more,
  } satisfies GenerateRequestInput);

/** A feature's maximum, as a catalogue has it; every seventh never fired. */
const unitOf = (feature: number) => (feature % 7 === 0 ? 0 : 1 + (feature % 5) / 2);
const live = () => active.filter((feature) => unitOf(feature) > 0);
const clamps = (): GenerateRequestInput["interventions"] => {
  const [a, b, c, d] = live() as [number, number, number, number];
  return [
    { feature: a, op: "set", value: 3 },
    { feature: b, op: "ablate", scope: { type: "all" } },
    { feature: c, op: "scale", value: -2, scope: { type: "region", cells: [5, 6, 40, 41, 42] } },
    { feature: d, op: "add", value: 2.5, unit: "raw", scope: { type: "generated" } },
  ];
};
const controls = ["baseline", "negated", "random", "reconstruction"] as const;

const requests: [string, () => Partial<GenerateRequestInput>][] = [
  ["a plain question", () => ({})],
  ["words alone", () => ({ messages: [{ role: "user", content: [text("is there a dog ?")] }] })],
  [
    "clamps of every kind and all controls",
    () => ({ interventions: clamps(), controls: [...controls], activeFeatures: 6, alternatives: 10 }),
  ],
  ["mode reconstruct", () => ({ interventions: clamps()?.slice(0, 3), controls: [...controls], mode: "reconstruct" })],
  ["a sweep", () => ({ interventions: clamps(), sweep: { clamp: 0, values: [-8, 0, 2, 16] }, controls: ["baseline", "random"] })],
  [
    "two pictures and three turns",
    () => ({
      messages: [
        { role: "user", content: [first, text("what is in the picture ?")] },
        { role: "assistant", content: [text("a dog")] },
        { role: "user", content: [second, text("what do you see ?")] },
      ],
      interventions: [{ feature: live()[0] as number, value: 4, scope: { type: "region", image: 1, cells: [60, 61, 62] } }],
    }),
  ],
  ["a seed and watched words", () => ({ sampling: { maxTokens: 20, temperature: 1.5, topP: 0.9, seed: 11 }, watch: ["dog", "red"] })],
  ["an inactive feature ablated", () => ({ interventions: [{ feature: 0, op: "ablate", scope: { type: "region", cells: [0] } }] })],
];

/** Largest difference of two runs' states at the hook. */
function apart(own: HookEvent[], wanted: HookEvent[], part: "hidden" | "output"): number {
  let difference = 0;
  wanted.forEach((pass, i) => {
    pass[part].forEach((value, j) => {
      difference = Math.max(difference, Math.abs(value - (own[i]?.[part][j] ?? Number.NaN)));
    });
  });
  return difference;
}

const told = ({ receipts }: Outcome) =>
  Object.values(receipts as Record<string, Receipt>).map(({ timingsMs: _timings, engine: _engine, ...receipt }: Receipt) => receipt);

describe("a worker with the demo's checkpoint", { timeout: 120_000 }, () => {
  it.each(requests)("answers, changes and counts as this process does: %s", async (_, more) => {
    const asked = ask(more());
    const own = await runAll(local, asked, { unitOf });
    const theirs = await runAll({ ...local, engine: remote }, asked, { unitOf });
    expect(Object.values(own.tokens).every((ids) => ids && ids.length > 0)).toBe(true);
    expect(theirs.tokens).toEqual(own.tokens);
    expect(told(theirs)).toEqual(nearly(told(own), 3));
    const [meta, wanted] = [theirs, own].map(({ events }) => events.find((event) => event.type === "meta"));
    expect({ ...meta, engine: null }).toEqual({ ...wanted, engine: null });
    const tokens = ({ events }: Outcome) =>
      events.filter((event): event is Extract<EngineEvent, { type: "token" }> => event.type === "token");
    for (const [i, event] of tokens(theirs).entries()) {
      const { alternatives, features, ...rest } = tokens(own)[i] as typeof event;
      expect(event).toMatchObject(nearly(rest, 3) as object);
      // Where two are equally likely their order is the rounding's.
      expect(event.alternatives.map(({ logprob }) => logprob)).toEqual(
        nearly(
          alternatives.map(({ logprob }) => logprob),
          3,
        ),
      );
      expect(event.features?.length).toBe(features?.length);
    }
    for (const arm of Object.keys(own.hooks) as (keyof typeof own.hooks)[]) {
      const [passes, ours] = [theirs.hooks[arm], own.hooks[arm]] as [HookEvent[], HookEvent[]];
      expect(passes.map(({ first, rows }) => [first, rows])).toEqual(ours.map(({ first, rows }) => [first, rows]));
      for (const part of ["hidden", "output"] as const) {
        expect(apart(passes, ours, part)).toBeLessThan(1e-3);
      }
    }
  });

  it("finds the same features on a picture, cell by cell", async () => {
    const input = { dictionary: local.dictionary, image: pictures[1], limit: 60 };
    const [own, theirs] = [
      await local.engine.features(input, { signal, resolveImage }),
      await remote.features(input, { signal, resolveImage }),
    ];
    expect({ ...theirs, features: [] }).toEqual({ ...own, features: [] });
    for (const { index, mean, peak, map } of own.features.slice(0, 50)) {
      const found = theirs.features.find((feature) => feature.index === index);
      expect(found).toMatchObject({ mean: expect.closeTo(mean, 3), peak: expect.closeTo(peak, 3) });
      expect(found?.map.positions).toEqual(map.positions);
    }
  });

  it("says of itself what this process says of the same dictionary", async () => {
    const [own, theirs] = [await local.engine.info(), await remote.info()];
    expect(theirs.dictionary).toEqual(own.dictionary);
    expect({ ...theirs.model, name: "" }).toEqual({ ...own.model, name: "" });
    expect([theirs.maxPositions, theirs.modes]).toEqual([own.maxPositions, own.modes]);
    const { info } = await workerAt(running.url).state();
    expect(info?.dictionaries.map(({ dictionary }) => dictionary.ref)).toHaveLength(2);
  });

  it("refuses a wrong token and none, typed", async () => {
    for (const secret of ["another", undefined]) {
      const state = await new Worker({ url: new URL(running.url), token: secret }, patience).state();
      expect(state.failure).toMatchObject({ code: "engine_unavailable", fix: expect.stringContaining("FACET_WORKER_TOKEN") });
    }
  });

  it("refuses what can be refused with the same codes, before the first event", async () => {
    const empty = ask({ messages: [{ role: "user", content: [text(" ")] }] });
    const long = ask({ messages: [{ role: "user", content: [text("dog ".repeat(600))] }] });
    const nowhere = ask({ interventions: [{ feature: 1, unit: "raw", scope: { type: "region", cells: [9_999] } }] });
    const unit = ask({ interventions: [{ feature: 7 }] });
    for (const [asked, code] of [
      [empty, "prompt_empty"],
      [long, "prompt_too_long"],
      [nowhere, "clamp_nowhere"],
      [unit, "invalid_request"],
    ] as const) {
      for (const engine of [local.engine, remote]) {
        const refused = engine.generate(asked, { signal, resolveImage, unitOf })[Symbol.asyncIterator]().next();
        await expect(refused).rejects.toMatchObject({ code });
      }
    }
  });

  it("stops the worker's run within a token of an abort: what it wrote, it counts", async () => {
    const written = async () =>
      Number(
        /^facet_tokens_total (\S+)/m.exec(
          await (await fetch(`${running.url}/metrics`, { headers: { authorization: `Bearer ${token}` } })).text(),
        )?.[1],
      );
    const before = await written();
    const leaving = new AbortController();
    const asked = ask({ sampling: { maxTokens: 256 }, controls: [] });
    const force = { steered: Array.from({ length: 256 }, (_, i) => 40 + (i % 20)) };
    let seen = 0;
    const aborted = async () => {
      for await (const event of remote.generate(asked, { signal: leaving.signal, resolveImage, unitOf, tap: { force } })) {
        if (event.type === "token" && ++seen === 3) leaving.abort();
      }
    };
    await expect(aborted()).rejects.toMatchObject({ code: "cancelled" });
    // The next has its turn at once, and nothing more is written for the one that left.
    await runAll({ ...local, engine: remote }, ask({ sampling: { maxTokens: 1 }, controls: [] }));
    expect((await written()) - before - 1).toBeLessThan(seen + 5);
  });

  it("attributes an answer to the same features by the same numbers, by autograd as by the exported gradient", async () => {
    const explained = async (engine: Engine) => {
      const asked = attributionRequestSchema.parse({
        dictionary: local.dictionary,
        messages: ask().messages,
        position: 1,
        interventions: clamps(),
        metric: { type: "logprob" },
        limit: 1_000,
        exact: 4,
      });
      const effects: AttributionEffect[] = [];
      let result: AttributionResult | null = null;
      for await (const event of engine.attribute(asked, { signal, resolveImage, unitOf })) {
        if (event.type === "result") result = event.result;
        if (event.type === "measured") effects.push(...event.effects);
      }
      return { result: result as unknown as AttributionResult, effects };
    };
    const [own, theirs] = [await explained(local.engine), await explained(remote)];
    const { engine: _, timingsMs: __, rows: wanted, sums, totals, ...rest } = own.result;
    expect(theirs.result).toMatchObject(nearly(rest, 3) as object);
    const estimates = new Map(theirs.result.rows.map(({ feature, estimate }) => [feature, estimate]));
    const size = Math.abs(wanted[0]?.estimate as number);
    for (const { feature, estimate } of wanted.slice(0, 100))
      expect(Math.abs((estimates.get(feature) as number) - estimate)).toBeLessThan(2e-3 * size);
    expect(Math.max(...sums.map((sum, i) => Math.abs(sum - (theirs.result.sums[i] as number))))).toBeLessThan(2e-3 * size);
    for (const part of ["whole", "features", "error", "bias"] as const)
      expect(Math.abs(totals[part].total - theirs.result.totals[part].total)).toBeLessThan(5e-3 * size);
    expect(theirs.effects).toEqual(
      own.effects.map(({ feature, estimate, effect }) => {
        return { feature, estimate: expect.closeTo(estimate, 2), effect: expect.closeTo(effect, 2) };
      }),
    );
  });

  it("ends a run in a typed error when the worker is killed half-way, and serves again when it is back", async () => {
    const asked = ask({ sampling: { maxTokens: 256 } });
    const answer = Array.from({ length: 256 }, (_, i) => 40 + (i % 20));
    const killed = async () => {
      for await (const event of remote.generate(asked, {
        signal,
        resolveImage,
        unitOf,
        tap: { force: { steered: answer, baseline: answer } },
      })) {
        if (event.type === "token" && event.i === 2) running.process.kill("SIGKILL");
      }
    };
    await expect(killed()).rejects.toMatchObject({
      code: "engine_failed",
      message: "The worker broke off in the middle of its answer.",
      retry: true,
    });
    await expect(runAll({ ...local, engine: remote }, ask())).rejects.toMatchObject({ code: "engine_unavailable", retry: true });
    running = await start("--port", new URL(running.url).port);
    await expect(runAll({ ...local, engine: remote }, ask())).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining("hidden states"),
    });
    const events = [];
    for await (const event of remote.generate(ask(), { signal, resolveImage, unitOf })) events.push(event.type);
    expect(events.at(-1)).toBe("done");
  });
});
