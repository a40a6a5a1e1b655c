/**
 * What steering costs, on one machine in one run: time a generated token with 1 and 8 clamps against the same engine with none; the cut model
 * against the uncut one; a sweep of 7 strengths against 7 runs. Every round measures all cases in turn, so that whatever else the machine does falls on
 * all alike; ratios are medians over rounds, by processor time (of all threads) and by the clock.
 *
 *   npx tsx bench/steering.ts [--rounds 20] [--uncut FOLDER] [--tokens] [--out bench/results/steering.json]
 *
 * With `--tokens` only the runs that write their tokens in turn. FOLDER holds the uncut graph; write it with
 *   .venv/bin/python -c "from pathlib import Path; from facet_worker.checkpoint import load_checkpoint; from facet_worker.export_onnx import export_whole; export_whole(load_checkpoint(Path('demo/model')), Path('FOLDER'))"
 */
import { writeFile } from "node:fs/promises";
import os from "node:os";
import { parseArgs } from "node:util";
import { type GenerateRequest, type GenerateRequestInput, generateRequestSchema, type Scope } from "@/lib/core/protocol";
import { argmax } from "@/lib/core/sampling";
import { parseManifest } from "@/lib/engine/onnx/load";
import { floatsOf, output, type Tensors } from "@/lib/engine/onnx/runtime";
import { nodeRuntime } from "@/lib/engine/onnx/runtime-node";
import { createEngines, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";

const { values: args } = parseArgs({
  options: { rounds: { type: "string", default: "20" }, uncut: { type: "string" }, out: { type: "string" }, tokens: { type: "boolean" } },
});
const tokens = 48;
const warmUps = 2;
const rounds = Number(args.rounds);
const strengths = [-8, -4, -2, 1, 2, 4, 8];

const text = await readManifest(env.engineDir);
if (text === null) throw new Error(`No model at ${env.engineDir}.`);
const manifest = parseManifest(text);
const [engine] = createEngines(env.engineDir, manifest, { concurrency: 16, bound: 16 }).values();
if (!engine) throw new Error("engine.json names no dictionary.");
const served = engine;

const side = 384;
const image = { sha256: "0".repeat(64) };
const picture = {
  ...image,
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 31 + (i >> 9) * 17) % 256),
};
const words = Array.from({ length: tokens }, (_, i) => 20 + (i % 40));
const force = Object.fromEntries(["steered", ...strengths.map((_, point) => `sweep:${point}`)].map((arm) => [arm, words]));
const options = { signal: new AbortController().signal, resolveImage: async () => picture, unitOf: () => 1, tap: { force } };
const info = await served.info();
const found = await served.features({ dictionary: served.ref, image, limit: 8 }, options);

/** `clamps` half on features that fire on the picture, half on others. */
function requestWith(clamps: number, scope: Scope["type"], more: Partial<GenerateRequestInput> = {}): GenerateRequest {
  return generateRequestSchema.parse({
    dictionary: served.ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image },
          { type: "text", text: "what do you see ?" },
        ],
      },
    ],
    interventions: Array.from({ length: clamps }, (_, i) => ({
      feature: i % 2 === 0 ? (found.features[i >> 1]?.index ?? i) : info.dictionary.numLatents - i,
      value: 2,
      unit: "raw",
      scope: { type: scope },
    })),
    controls: [],
    alternatives: 0,
    sampling: { maxTokens: tokens },
    ...more,
  } as GenerateRequestInput);
}

/** Milliseconds by the clock and of processor time. */
interface Sample {
  clock: number;
  processor: number;
  /** From the first token to the last, a token. */
  tokenClock: number;
  tokenProcessor: number;
}

class Watch {
  private readonly start = performance.now();
  private readonly usage = process.cpuUsage();

  read(): { clock: number; processor: number } {
    const { user, system } = process.cpuUsage(this.usage);
    return { clock: performance.now() - this.start, processor: (user + system) / 1000 };
  }
}

/** One run of the engine: the whole, and between its first and last token. */
async function run(request: GenerateRequest): Promise<Sample> {
  const whole = new Watch();
  let decoding = new Watch();
  let spent = { clock: 0, processor: 0 };
  for await (const event of served.generate(request, options)) {
    if (event.type !== "token" || event.arm !== "steered") continue;
    if (event.i === 0) decoding = new Watch();
    else if (event.i === tokens - 1) spent = decoding.read();
  }
  return { ...whole.read(), tokenClock: spent.clock / (tokens - 1), tokenProcessor: spent.processor / (tokens - 1) };
}

async function runEach(requests: GenerateRequest[]): Promise<Sample> {
  const whole = new Watch();
  for (const request of requests) await run(request);
  return { ...whole.read(), tokenClock: Number.NaN, tokenProcessor: Number.NaN };
}

/** The uncut graph in the same runtime: a prompt of as many tokens, then one token at a time, the caches staying in the runtime. */
async function uncutRunner(folder: string): Promise<() => Promise<Sample>> {
  const runtime = await nodeRuntime(folder);
  const session = await runtime.open("whole.onnx");
  const { layers, kv_heads, head_dim } = manifest.decoder;
  const names = Array.from({ length: layers }, (_, i) => [`key.${i}`, `value.${i}`]).flat();
  const { model } = await served.loaded();
  const pixels = new Float32Array(3 * manifest.image.size ** 2);
  const length = 3 + manifest.image.rows * manifest.image.cols + 6;
  const step = async (ids: number[], past: Tensors): Promise<Tensors> => {
    const feeds: Tensors = { input_ids: { data: BigInt64Array.from(ids, BigInt), dims: [1, ids.length] } };
    for (const name of names) {
      feeds[`past_${name}`] = past[name] ?? { data: new Float32Array(0), dims: [1, kv_heads, 0, head_dim] };
    }
    const outputs = await session.run(feeds, names);
    runtime.release(names.flatMap((name) => past[name] ?? []));
    return outputs;
  };
  return async () => {
    const whole = new Watch();
    await model.vision([pixels]);
    let outputs = await step(
      Array.from({ length }, () => 20),
      {},
    );
    const decoding = new Watch();
    // As the engine does: the last token is read off and never enters.
    for (const word of words.slice(0, -1)) {
      const logits = floatsOf(outputs, "logits");
      argmax(logits.subarray(logits.length - (output(outputs, "logits").dims.at(-1) as number)));
      outputs = await step([word], outputs);
    }
    const spent = decoding.read();
    runtime.release(names.flatMap((name) => outputs[name] ?? []));
    return { ...whole.read(), tokenClock: spent.clock / (tokens - 1), tokenProcessor: spent.processor / (tokens - 1) };
  };
}

/** Clamps everywhere on features that fire nowhere on the picture, as when a model is made to see what is not there. */
const shown = new Set((await served.features({ dictionary: served.ref, image, limit: 512 }, options)).features.map(({ index }) => index));
const silent = Array.from({ length: info.dictionary.numLatents }, (_, i) => i)
  .filter((feature) => !shown.has(feature) && feature % 7 === 0)
  .slice(0, 8)
  .map((feature) => ({ feature, value: 2, unit: "raw" as const, scope: { type: "all" as const } }));
const firstClamp = requestWith(1, "image").interventions[0] as GenerateRequest["interventions"][number];
const point = (value: number) => requestWith(1, "image", { interventions: [{ ...firstClamp, value }] });
const cases: Record<string, () => Promise<Sample>> = {
  none: () => run(requestWith(0, "all")),
  "1 clamp, image": () => run(requestWith(1, "image")),
  "8 clamps, image": () => run(requestWith(8, "image")),
  "1 clamp, everywhere": () => run(requestWith(1, "all")),
  "8 clamps, everywhere": () => run(requestWith(8, "all")),
  "8 clamps, everywhere, of features that do not fire": () => run(requestWith(8, "all", { interventions: silent })),
  "none, reconstruct": () => run(requestWith(0, "all", { mode: "reconstruct" })),
  "8 clamps, reconstruct": () => run(requestWith(8, "image", { mode: "reconstruct" })),
  "7 runs": () => runEach(strengths.map(point)),
  "sweep of 7": () => run(requestWith(1, "image", { sweep: { clamp: 0, values: strengths } })),
};
if (args.uncut) cases.uncut = await uncutRunner(args.uncut);

/** Runs that write their tokens in turn, some of each, so that what a token costs is compared within milliseconds. */
const inTurn: Record<string, GenerateRequest> = {
  none: requestWith(0, "all"),
  "none again": requestWith(0, "all"),
  "8 clamps, image": requestWith(8, "image"),
  "8 clamps, everywhere": requestWith(8, "all"),
  "8 clamps, everywhere, of features that do not fire": requestWith(8, "all", { interventions: silent }),
  "none, reconstruct": requestWith(0, "all", { mode: "reconstruct" }),
  "8 clamps, reconstruct": requestWith(8, "image", { mode: "reconstruct" }),
};
/** Tokens that a run writes before the next one's turn. */
const turnLength = 8;

interface TokenTimes {
  clock: number[];
  processor: number[];
}

/**
 * Of each round, the time of a token after the first, by run; tokens that are told together were made together, so only their sum is a time. Over the rounds
 * each run follows each other one equally often: what one leaves to be collected falls on the next.
 */
async function tokensInTurn(): Promise<Map<string, TokenTimes>> {
  const runs = Object.entries(inTurn);
  const times = new Map(runs.map(([name]): [string, TokenTimes] => [name, { clock: [], processor: [] }]));
  for (let round = -1; round < rounds; round++) {
    const open = runs.map(([name, request]) => ({
      name,
      events: served.generate(request, options)[Symbol.asyncIterator](),
      clock: 0,
      processor: 0,
    }));
    for (const { events } of open) {
      for (let event = await events.next(); !event.done && event.value.type !== "token"; ) event = await events.next();
    }
    for (let i = 1; i < tokens; i += turnLength) {
      for (let turn = 0; turn < open.length; turn++) {
        const at = (i - 1) / turnLength + round + 1;
        const one = open[(at + turn * (1 + (at % (open.length - 1)))) % open.length] as (typeof open)[number];
        const watch = new Watch();
        for (let written = i; written < Math.min(i + turnLength, tokens); written++) {
          const event = await one.events.next();
          if (event.done || event.value.type !== "token") throw new Error(`The run "${one.name}" ended early.`);
        }
        const { clock, processor } = watch.read();
        one.clock += clock;
        one.processor += processor;
      }
    }
    for (const { name, events, clock, processor } of open) {
      await events.return?.();
      if (round < 0) continue;
      times.get(name)?.clock.push(clock / (tokens - 1));
      times.get(name)?.processor.push(processor / (tokens - 1));
    }
  }
  return times;
}

const turns = await tokensInTurn();
const names = args.tokens ? [] : Object.keys(cases);
const samples = new Map<string, Sample[]>(names.map((name) => [name, []]));
for (let round = -warmUps; round < rounds; round++) {
  for (const name of names) {
    const sample = await (cases[name] as () => Promise<Sample>)();
    if (round >= 0) samples.get(name)?.push(sample);
  }
}

function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

const column = (name: string, key: keyof Sample) => (samples.get(name) ?? []).map((sample) => sample[key]);
/** Speed of `name` with `to` = 1: the median over rounds. */
const speed = (name: string, to: string, key: keyof Sample) =>
  quantile(
    column(name, key).map((ms, i) => (column(to, key)[i] as number) / ms),
    0.5,
  );
const rounded = (value: number, digits = 2) => (Number.isFinite(value) ? Number(value.toFixed(digits)) : null);

const keys = ["clock", "processor", "tokenClock", "tokenProcessor"] as const;
const times = Object.fromEntries(
  names.map((name) => [
    name,
    Object.fromEntries(
      keys.map((key) => [key, { best: rounded(quantile(column(name, key), 0)), median: rounded(quantile(column(name, key), 0.5)) }]),
    ),
  ]),
);
const ratio = (name: string, to: string, by: "token" | "whole") => {
  const [clock, processor] = by === "token" ? (["tokenClock", "tokenProcessor"] as const) : (["clock", "processor"] as const);
  return { clock: rounded(speed(name, to, clock), 3), processor: rounded(speed(name, to, processor), 3) };
};
const clamped = names.filter((name) => name.includes("clamp") || name === "none, reconstruct");
const speeds = {
  "tokens/s against the same engine without clamps": Object.fromEntries(clamped.map((name) => [name, ratio(name, "none", "token")])),
  "tokens/s, 8 clamps in mode reconstruct against the same mode without": ratio("8 clamps, reconstruct", "none, reconstruct", "token"),
  "whole run against one without clamps": Object.fromEntries(clamped.map((name) => [name, ratio(name, "none", "whole")])),
  ...(args.uncut && {
    "cut against uncut": { "tokens/s": ratio("none", "uncut", "token"), "whole run": ratio("none", "uncut", "whole") },
  }),
  "7 runs, time over a sweep of 7 points and the clamp's own value": ratio("sweep of 7", "7 runs", "whole"),
};
/** Of two runs of a round, how many times as fast `name` was as `to`: the median. */
const tokenSpeed = (name: string, to: string, key: keyof TokenTimes) => {
  const [own, other] = [turns.get(name)?.[key] ?? [], turns.get(to)?.[key] ?? []];
  return rounded(
    quantile(
      own.map((ms, i) => (other[i] as number) / ms),
      0.5,
    ),
    3,
  );
};
const tokenTable = [...turns].map(([name, { clock, processor }]) => [
  name,
  {
    clockMs: { p10: rounded(quantile(clock, 0.1), 3), median: rounded(quantile(clock, 0.5), 3) },
    processorMs: { p10: rounded(quantile(processor, 0.1), 3), median: rounded(quantile(processor, 0.5), 3) },
    againstNone: { clock: tokenSpeed(name, "none", "clock"), processor: tokenSpeed(name, "none", "processor") },
    ...(name.startsWith("8") && name.endsWith("reconstruct") && { againstItsModeWithout: tokenSpeed(name, "none, reconstruct", "clock") }),
  },
]);
const result = {
  machine: `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} threads`,
  node: process.version,
  engine: { name: info.name, version: info.version },
  dictionary: served.ref,
  rounds,
  tokens,
  "tokens in turn": Object.fromEntries(tokenTable),
  times,
  speeds,
};
console.log(JSON.stringify(result, null, 2));
if (args.out) await writeFile(args.out, `${JSON.stringify(result, null, 2)}\n`);
process.exit(0);
