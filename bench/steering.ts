/**
 * What clamping costs: time a generated token with 1 and 8 clamps, on the picture and everywhere, against the same engine with none.
 * Every round measures all cases in turn, so that whatever else the machine does falls on all alike; processor time is given beside the clock's. Run: npx tsx bench/steering.ts [rounds]
 */
import { generateRequestSchema, type Scope } from "@/lib/core/protocol";
import { parseManifest } from "@/lib/engine/onnx/load";
import { createEngines, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";

const tokens = 48;
const warmUps = 2;
const rounds = Number(process.argv[2] ?? 20);

const text = await readManifest(env.engineDir);
if (text === null) throw new Error(`No model at ${env.engineDir}.`);
const [engine] = createEngines(env.engineDir, parseManifest(text)).values();
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
const options = {
  signal: new AbortController().signal,
  resolveImage: async () => picture,
  unitOf: () => 1,
  tap: { force: { steered: words } },
};
const info = await served.info();
const found = await served.features({ dictionary: served.ref, image, limit: 8 }, options);

/** `clamps` half on features that fire on the picture, half on others. */
function requestWith(clamps: number, scope: Scope["type"]) {
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
  });
}

const cases = {
  none: requestWith(0, "all"),
  "1 clamp, image": requestWith(1, "image"),
  "8 clamps, image": requestWith(8, "image"),
  "1 clamp, everywhere": requestWith(1, "all"),
  "8 clamps, everywhere": requestWith(8, "all"),
};
type Case = keyof typeof cases;

interface Sample {
  /** Milliseconds by the clock. */
  prefill: number;
  token: number;
  /** Milliseconds of processor time from the first token to the last. */
  processor: number;
}

async function measure(name: Case): Promise<Sample> {
  let start = process.cpuUsage();
  for await (const event of served.generate(cases[name], options)) {
    if (event.type === "token" && event.i === 0) start = process.cpuUsage();
    if (event.type !== "receipt") continue;
    const { user, system } = process.cpuUsage(start);
    const { prefill, decode } = event.receipt.timingsMs;
    return { prefill, token: decode / tokens, processor: (user + system) / 1000 / (tokens - 1) };
  }
  throw new Error("The run ended without a receipt.");
}

const names = Object.keys(cases) as Case[];
const samples = new Map<Case, Sample[]>(names.map((name) => [name, []]));
for (let round = -warmUps; round < rounds; round++) {
  for (const name of names) {
    const sample = await measure(name);
    if (round >= 0) samples.get(name)?.push(sample);
  }
}

function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] as number;
}

const none = samples.get("none") ?? [];
const column = (name: Case, key: keyof Sample) => (samples.get(name) ?? []).map((sample) => sample[key]);
/** Speed without clamps = 1: the median over rounds. */
const relative = (name: Case, key: keyof Sample) =>
  quantile(
    column(name, key).map((ms, i) => (none[i] as Sample)[key] / ms),
    0.5,
  );

console.log(`${served.ref}, ${rounds} rounds of ${tokens} tokens; ms as best / median`);
for (const name of names) {
  const [prefill, token, processor] = (["prefill", "token", "processor"] as const).map((key) => {
    const values = column(name, key);
    return `${quantile(values, 0).toFixed(2)} / ${quantile(values, 0.5).toFixed(2)}`;
  });
  const speed = `speed by the clock ${relative(name, "token").toFixed(3)}, by processor time ${relative(name, "processor").toFixed(3)}`;
  console.log(`${name.padEnd(22)} prefill ${prefill}   token ${token}   processor ${processor}   ${speed}`);
}
