/**
 * How well attribution's estimates agree with what ablating features one by one really does, over many questions; that the paper's per-feature procedure says
 * the same; and what either costs.
 *
 *   npx tsx bench/attribution.ts [--questions 120] [--skip 0] [--exact 20] [--integrated 0] [--converge 0] [--features 12] [--out FILE]
 *
 * Questions are asked of the catalogue's own pictures in turn. `--integrated N`: the first N also by integrated gradients of 8 steps. `--converge N`: how near, by
 * their number of steps, the features' sum comes to what removing all features takes, over the first N. The paper's procedure
 * (docs/attribution.md) runs on `--features` features of the first question: for each a pass without it, a pass with it and one back. Times are medians.
 */
import { writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type AttributionRequestInput, type AttributionResult, attributionRequestSchema } from "@/lib/core/attribution";
import { pixelValues } from "@/lib/core/preprocess";
import { rankCorrelation } from "@/lib/core/rank-correlation";
import { decodeImage } from "@/lib/engine/decode-image";
import { activeFeatures, withoutFeature } from "@/lib/engine/onnx/contributions";
import { parseManifest } from "@/lib/engine/onnx/load";
import { lowerOf } from "@/lib/engine/onnx/prefill";
import { assemblePrompt } from "@/lib/engine/onnx/prompt";
import { createEngines, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";
import { imageColumns } from "@/lib/formats/bundle";
import { openTable } from "@/lib/formats/parquet";

const { values: args } = parseArgs({
  options: {
    questions: { type: "string", default: "120" },
    skip: { type: "string", default: "0" },
    exact: { type: "string", default: "20" },
    integrated: { type: "string", default: "0" },
    converge: { type: "string", default: "0" },
    features: { type: "string", default: "12" },
    out: { type: "string" },
  },
});
const wordings = [
  "what do you see ?",
  "is there a dog ?",
  "how does the face feel ?",
  "what colour is the background ?",
  "how many things are there ?",
];

const text = await readManifest(env.engineDir);
if (text === null) throw new Error(`No model at ${env.engineDir}.`);
const manifest = parseManifest(text);
const [engine] = createEngines(env.engineDir, manifest, { concurrency: 1, bound: 16 }).values();
if (!engine) throw new Error("engine.json names no dictionary.");
const served = engine;
const { model, codec } = await served.loaded();

const table = await openTable(path.join(env.engineDir, "..", "bundle", "images.parquet"), imageColumns);
const [count, skip] = [Number(args.questions), Number(args.skip)];
const pictures: Uint8Array[] = [];
for await (const batch of table.batches(64)) {
  for (const { bytes } of batch) pictures.push(bytes);
  if (pictures.length >= skip + count) break;
}
const never = new AbortController().signal;
const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
const mean = (values: number[]) => values.reduce((sum, x) => sum + x, 0) / values.length;

const messagesOf = (question: number): AttributionRequestInput["messages"] => [
  {
    role: "user",
    content: [
      { type: "image", image: { sha256: "0".repeat(64) } },
      { type: "text", text: wordings[question % wordings.length] as string },
    ],
  },
];

async function ask(question: number, more: Partial<AttributionRequestInput>) {
  const picture = await decodeImage(pictures[question] as Uint8Array);
  const request = attributionRequestSchema.parse({ dictionary: served.ref, messages: messagesOf(question), maxTokens: 8, ...more });
  const resolveImage = async () => ({ ...picture, sha256: "0".repeat(64) });
  let result: AttributionResult | null = null;
  let correlation: number | null = null;
  const pairs: { estimate: number; effect: number }[] = [];
  for await (const event of served.attribute(request, { signal: never, resolveImage, unitOf: () => 1 })) {
    if (event.type === "result") result = event.result;
    if (event.type === "measured") pairs.push(...event.effects);
    if (event.type === "agreement") correlation = event.rankCorrelation;
  }
  return { result: result as unknown as AttributionResult, pairs, correlation };
}

interface Found {
  correlations: number[];
  pairs: { estimate: number; effect: number }[];
  completeness: number[];
}

async function agreement(from: number, to: number, method: AttributionRequestInput["method"]) {
  const found: Found = { correlations: [], pairs: [], completeness: [] };
  for (let question = from; question < to; question++) {
    const { result, pairs, correlation } = await ask(question, { exact: Number(args.exact), method });
    if (correlation !== null) found.correlations.push(correlation);
    found.pairs.push(...pairs);
    const { features, error, bias, whole } = result.totals;
    const size = Math.max(...[features, error, bias, whole].map(({ total }) => Math.abs(total)));
    found.completeness.push(Math.abs(features.total + error.total + bias.total - whole.total) / size);
  }
  const of = (side: "estimate" | "effect") => found.pairs.map((pair) => pair[side]);
  const sameSign = found.pairs.filter(({ estimate, effect }) => estimate * effect > 0).length / found.pairs.length;
  const sorted = [...found.correlations].sort((a, b) => a - b);
  return {
    method,
    questions: found.correlations.length,
    features: found.pairs.length,
    rankCorrelation: {
      mean: mean(sorted),
      median: median(sorted),
      tenth: sorted[Math.floor(sorted.length / 10)],
      pooled: rankCorrelation(of("estimate"), of("effect")),
    },
    sameSign,
    largestGap: Math.max(...found.completeness),
  };
}

/** The paper's procedure on some features of a question, and ours on all. */
async function againstPaper(question: number, features: number) {
  const { result } = await ask(question, { exact: 0, limit: 1_000, metric: { type: "difference" } });
  const [id, baseline] = [result.metric.answer?.id as number, result.metric.baseline?.id as number];
  const picture = await decodeImage(pictures[question] as Uint8Array);
  const pixels = [pixelValues(picture, manifest.image.size, manifest.image)];
  const prompt = assemblePrompt(
    attributionRequestSchema.parse({ dictionary: served.ref, messages: messagesOf(question) }).messages,
    8,
    manifest,
    codec,
  );
  const { layout } = prompt;
  const selector = new Float32Array(await model.vocabulary());
  selector[id] = 1;
  selector[baseline] = -1;
  const read = { positions: [layout.length - 1], selector, normalizer: new Float32Array(1) };
  const states = async () => {
    const { states, cache } = await lowerOf(model, prompt, pixels);
    model.release(cache);
    return states;
  };
  const times: number[] = [];
  let farthest = 0;
  const largest = Math.max(...result.rows.map(({ estimate }) => Math.abs(estimate)));
  for (const row of result.rows.slice(0, features)) {
    const start = performance.now();
    // A forward pass with the feature and one back from the metric, …
    const clean = await states();
    const [gradient] = await model.gradient([clean], read);
    // … a forward pass without it, and the difference of both at the hook, along the gradient.
    const again = await states();
    const ablated = withoutFeature(again, activeFeatures(await model.encode(again)), row.feature, model.weights);
    await model.logitsAt([ablated], read.positions);
    let value = 0;
    clean.forEach((x, i) => {
      value += (x - (ablated[i] as number)) * (gradient?.[i] as number);
    });
    times.push(performance.now() - start);
    farthest = Math.max(farthest, Math.abs(value - row.estimate) / largest);
  }
  const answer = result.answer.map(({ id }) => id);
  const ours: number[] = [];
  for (let i = 0; i < 7; i++) {
    const start = performance.now();
    await ask(question, { exact: 0, answer, limit: 1_000 });
    ours.push(performance.now() - start);
  }
  const perFeature = median(times);
  return {
    features,
    active: result.active,
    largestDifference: farthest,
    paperMsPerFeature: perFeature,
    allFeaturesMs: median(ours),
    timesFaster: (perFeature * result.active) / median(ours),
  };
}

/** |features' sum − (metric − metric without features)| as a share of the latter, by the number of steps. */
async function convergence(from: number, to: number) {
  const gaps = new Map<number, number[]>([8, 16, 32, 64].map((steps) => [steps, []]));
  for (let question = from; question < to; question++) {
    for (const [steps, found] of gaps) {
      const { result } = await ask(question, { exact: 0, method: { type: "integrated", steps } });
      const taken = result.metric.value - (result.method.withoutFeatures as number);
      found.push(Math.abs(result.totals.features.total - taken) / Math.abs(taken));
    }
  }
  return [...gaps].map(([steps, found]) => ({
    steps,
    questions: found.length,
    median: median(found),
    ninth: [...found].sort((a, b) => a - b)[Math.floor((found.length * 9) / 10)],
    largest: Math.max(...found),
  }));
}

const report = {
  dictionary: served.ref,
  machine: { cpu: os.cpus()[0]?.model, cores: os.cpus().length, load: os.loadavg()[0], node: process.version },
  skip,
  paper: await againstPaper(skip, Number(args.features)),
  gradient: await agreement(skip, skip + count, { type: "gradient" }),
  integrated: Number(args.integrated) ? await agreement(skip, skip + Number(args.integrated), { type: "integrated", steps: 8 }) : null,
  convergence: Number(args.converge) ? await convergence(skip, skip + Number(args.converge)) : null,
};
console.log(JSON.stringify(report, null, 2));
if (args.out) await writeFile(args.out, `${JSON.stringify(report, null, 2)}\n`);
process.exit(0);
