/**
 * `npx tsx bench/readers.ts [features…]`: the time and the largest memory that reading a whole Neuronpedia export and the paper's files takes, at
 * several sizes, each in a process of its own. The files are made first, in a temporary folder that is removed.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { createGzip } from "node:zlib";
import { createRandom } from "@/lib/core/random";
import { openSource } from "@/lib/formats/readers";

const formats = ["neuronpedia", "paper"] as const;
type Format = (typeof formats)[number];
const textsInAll = 24_576;
const examplesAFeature = 12;
const tokensAText = 64;
const words = "the of and to in lemon red on a street dog light wood tower night sea green under glass old".split(" ");

const random = createRandom(1);
const below = (n: number) => Math.floor(random() * n);
const some = <T>(count: number, make: (i: number) => T) => Array.from({ length: count }, (_, i) => make(i));
const word = () => words[below(words.length)] as string;
const sentence = (length: number) => some(length, word).join(" ");
const float = () => Math.round(random() * 1e6) / 1e5;

async function write(file: string, text: Iterable<string>): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  const source = Readable.from(text, { objectMode: false });
  if (file.endsWith(".gz")) await pipeline(source, createGzip({ level: 1 }), createWriteStream(file));
  else await pipeline(source, createWriteStream(file));
}

async function makeNeuronpedia(folder: string, features: number): Promise<void> {
  const origin = { modelId: "a-model", layer: "20-res-131k" };
  const texts = some(textsInAll, () => some(tokensAText, () => ` ${word()}${below(50)}`));
  // As Neuronpedia's database orders them: "10" before "2".
  const order = some(features, String).sort();
  for (let from = 0; from < features; from += 1_024) {
    const indices = order.slice(from, from + 1_024);
    const file = (kind: string) => path.join(folder, kind, `batch-${from / 1_024}.jsonl.gz`);
    const lines = function* (of: (index: string) => object[]) {
      for (const index of indices) yield of(index).reduce((all, one) => `${all}${JSON.stringify({ ...origin, index, ...one })}\n`, "");
    };
    await write(
      file("features"),
      lines(() => [
        {
          maxActApprox: float() + 10,
          frac_nonzero: random() / 100,
          pos_str: some(10, word),
          pos_values: some(10, float),
          neg_str: some(10, word),
          neg_values: some(10, () => -float()),
          freq_hist_data_bar_heights: some(50, () => below(900)),
          freq_hist_data_bar_values: some(50, (i) => i / 5),
          topkCosSimIndices: some(10, () => below(features)),
          topkCosSimValues: some(10, random),
        },
      ]),
    );
    await write(
      file("explanations"),
      lines(() => [{ description: sentence(24), typeName: "oai_token-act-pair", explanationModelName: "a-model-mini" }]),
    );
    const example = () => {
      const values = some(tokensAText, () => (random() < 0.1 ? float() : 0));
      return { tokens: texts[below(textsInAll)], values, maxValue: Math.max(...values), maxValueTokenIndex: 0 };
    };
    await write(
      file("activations"),
      lines(() => some(examplesAFeature, example)),
    );
  }
}

async function makePaper(folder: string, features: number): Promise<void> {
  const key = (index: number) => `model.layers.24_feature${index}`;
  const list = function* (entry: (index: number) => object) {
    for (let i = 0; i < features; i++) yield `${i ? ",\n" : "["}${JSON.stringify(entry(i))}`;
    yield "]";
  };
  const object = function* (value: () => unknown) {
    for (let i = 0; i < features; i++) yield `${i ? ",\n" : "{"}${JSON.stringify(key(i))}: ${JSON.stringify(value())}`;
    yield "}";
  };
  const scores = (list: string, average: string) => (i: number) => ({
    feature: key(i),
    [list]: some(5, random),
    [average]: random(),
    k: 5,
    label: sentence(3),
  });
  await write(
    path.join(folder, "model_layers_24.json"),
    list((i) => ({ [key(i)]: sentence(120) })),
  );
  await write(
    path.join(folder, "refined.json"),
    object(() => sentence(3)),
  );
  await write(
    path.join(folder, "labels.json"),
    object(() => ["object", "scene", "colour"][below(3)]),
  );
  await write(path.join(folder, "iou.json"), list(scores("iou_scores", "avg_iou")));
  await write(path.join(folder, "clip.json"), list(scores("clip_scores", "avg_score")));
  await write(
    path.join(folder, "consistency.json"),
    object(() => String(below(2))),
  );
}

/** Reads everything as an import does, and prints what it took. */
async function read(folder: string, format: Format, features: number): Promise<void> {
  const started = performance.now();
  const into = { ref: "a-model/x", sha256: "", num_latents: features };
  const source = await openSource([folder], { model: "a-model", ...(format === "paper" && { into }) });
  const opened = performance.now();
  let rows = 0;
  const tables = [source.texts, ...source.dictionaries.flatMap((one) => Object.values(one.tables))];
  for (const table of tables) for await (const batch of table.batches()) rows += batch.length;
  const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
  const peak = `${Math.round(process.resourceUsage().maxRSS / 1_024)} MB`;
  console.log([format.padEnd(11), features, `${rows} rows`, seconds(started, opened), seconds(opened, performance.now()), peak].join("  "));
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === "--read") await read(rest[0] as string, rest[1] as Format, Number(rest[2]));
else {
  const sizes = (mode === undefined ? ["16384", "131072"] : [mode, ...rest]).map(Number);
  console.log("format       features  rows  opened in  read in  peak RSS");
  for (const format of formats) {
    for (const features of sizes) {
      const folder = await mkdtemp(path.join(tmpdir(), "facet-bench-"));
      try {
        await (format === "paper" ? makePaper : makeNeuronpedia)(folder, features);
        const self = fileURLToPath(import.meta.url);
        spawnSync(process.execPath, ["--import", "tsx", self, "--read", folder, format, String(features)], { stdio: "inherit" });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
}
