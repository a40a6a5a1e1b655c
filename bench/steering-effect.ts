/**
 * Does clamping do what it says? Over features whose label names a thing: how often the model names that thing on pictures without it when the
 * feature is set, by scope and strength; how often it stops naming a thing that is there when the feature is ablated; each beside the untouched model and a random
 * feature of equal norm. Prints Markdown. Run: npx tsx bench/steering-effect.ts [features] [pictures a feature]
 */
import path from "node:path";
import { type Arm, generateRequestSchema, type Intervention, type Scope } from "@/lib/core/protocol";
import { decodeBytes } from "@/lib/core/sparse-map";
import { decodeImage } from "@/lib/engine/decode-image";
import { parseManifest } from "@/lib/engine/onnx/load";
import type { OnnxEngine } from "@/lib/engine/onnx/onnx-engine";
import { createEngines, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";
import { activationColumns, explanationColumns, featureColumns, imageColumns, scoreColumns } from "@/lib/formats/bundle";
import { type Columns, openTable, type Row } from "@/lib/formats/parquet";

const featureCount = Number(process.argv[2] ?? 80);
const picturesEach = Number(process.argv[3] ?? 4);
const strengths = [1, 2, 4];
const leastIou = 0.3;
const bundle = path.join(env.engineDir, "..", "bundle");

async function rowsOf<C extends Columns>(file: string, columns: C): Promise<Row<C>[]> {
  const rows: Row<C>[] = [];
  for await (const batch of (await openTable(path.join(bundle, file), columns)).batches()) rows.push(...batch);
  return rows;
}

interface Labelled {
  index: number;
  label: string;
  iou: number;
  maximum: number;
  /** Pictures on which it fires most, with its cells there (at least a quarter of its peak). */
  top: Map<string, number[]>;
}

/** Features with a label that names an object and fits it, best first, one for each label. */
async function labelledFeatures(dictionary: string): Promise<Labelled[]> {
  const scores = new Map(
    (await rowsOf(`${dictionary}/scores.parquet`, scoreColumns))
      .filter(({ metric, value }) => metric === "iou" && value !== null)
      .map(({ index, explanation, value }) => [`${index} ${explanation}`, value as number]),
  );
  const maxima = new Map(
    (await rowsOf(`${dictionary}/features.parquet`, featureColumns)).map((row) => [row.index, row.max_activation ?? 0]),
  );
  const best = new Map<string, Labelled>();
  for (const { index, method, label, concept, preferred } of await rowsOf(`${dictionary}/explanations.parquet`, explanationColumns)) {
    const iou = scores.get(`${index} ${method}`) ?? 0;
    if (!preferred || !label || concept !== "object" || iou < leastIou || (best.get(label)?.iou ?? 0) >= iou) continue;
    best.set(label, { index, label, iou, maximum: maxima.get(index) ?? 0, top: new Map() });
  }
  const byIndex = new Map([...best.values()].map((feature) => [feature.index, feature]));
  for (const { index, band, image, peak, positions, values } of await rowsOf(`${dictionary}/activations.parquet`, activationColumns)) {
    const feature = byIndex.get(index);
    if (!feature || image === null || band === "text") continue;
    const map = decodeBytes(positions, values);
    feature.top.set(
      image,
      [...map.positions].filter((_, i) => (map.values[i] as number) >= peak / 4),
    );
  }
  return [...byIndex.values()].sort((a, b) => b.iou - a.iou);
}

const names = (text: string, label: string) => new RegExp(`\\b${label.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\b`).test(text);
const wellFormed = (text: string) => /^(nothing|an? .+) on an? [a-z-]+ background$/.test(text);

/** Wilson's 95 % interval of a share. */
function interval(hits: number, n: number): string {
  if (n === 0) return "–";
  const z = 1.96;
  const p = hits / n;
  const centre = (p + (z * z) / (2 * n)) / (1 + (z * z) / n);
  const half = (z * Math.sqrt((p * (1 - p)) / n + (z * z) / (4 * n * n))) / (1 + (z * z) / n);
  const share = (x: number) => x.toFixed(2).replace(/^0/, "");
  return `${share(p)} [${share(Math.max(0, centre - half))}, ${share(Math.min(1, centre + half))}]`;
}

class Tally {
  private readonly rows = new Map<string, { n: number; steered: number; random: number; baseline: number; formed: number }>();

  add(row: string, texts: Partial<Record<Arm, string>>, counts: (text: string) => boolean): void {
    const entry = this.rows.get(row) ?? { n: 0, steered: 0, random: 0, baseline: 0, formed: 0 };
    entry.n++;
    for (const arm of ["steered", "random", "baseline"] as const) if (counts(texts[arm] ?? "")) entry[arm]++;
    if (wellFormed(texts.steered ?? "")) entry.formed++;
    this.rows.set(row, entry);
  }

  print(title: string): void {
    console.log(`\n| ${title} | clamped | random feature, equal norm | untouched | well-formed | n |\n|---|---|---|---|---|---|`);
    for (const [row, { n, steered, random, baseline, formed }] of this.rows) {
      console.log(`| ${row} | ${[steered, random, baseline, formed].map((hits) => interval(hits, n)).join(" | ")} | ${n} |`);
    }
  }
}

async function answers(engine: OnnxEngine, bytes: Uint8Array, clamp: Partial<Intervention> & { feature: number }, maximum: number) {
  const request = generateRequestSchema.parse({
    dictionary: engine.ref,
    messages: [
      {
        role: "user",
        content: [
          { type: "image", image: { sha256: "0".repeat(64) } },
          { type: "text", text: "what do you see ?" },
        ],
      },
    ],
    interventions: [clamp],
    controls: ["baseline", "random"],
    alternatives: 0,
  });
  const texts: Partial<Record<Arm, string>> = {};
  const options = { signal: new AbortController().signal, resolveImage: () => decodeImage(bytes), unitOf: () => maximum };
  for await (const event of engine.generate(request, options)) if (event.type === "receipt") texts[event.receipt.arm] = event.receipt.text;
  return texts;
}

const text = await readManifest(env.engineDir);
if (text === null) throw new Error(`No model at ${env.engineDir}.`);
const pictures = await rowsOf("images.parquet", imageColumns);
const byHash = new Map(pictures.map((picture) => [picture.sha256, picture]));

for (const engine of createEngines(env.engineDir, parseManifest(text)).values()) {
  const dictionary = engine.ref.slice(engine.ref.indexOf("/") + 1);
  const labelled = await labelledFeatures(dictionary);
  const chosen = labelled.slice(0, featureCount);
  const naming = new Tally();
  const removing = new Tally();
  for (const [turn, feature] of chosen.entries()) {
    // Pictures without the thing, on which another labelled thing's cells are known.
    const others = labelled
      .filter(({ label }) => !names(label, feature.label) && !names(feature.label, label))
      .flatMap(({ top, label }) => [...top].slice(0, 1).map(([sha256, cells]) => ({ picture: byHash.get(sha256), cells, label })))
      .filter(
        ({ picture, cells, label }) =>
          picture?.caption && cells.length > 0 && names(picture.caption, label) && !names(picture.caption, feature.label),
      );
    for (let i = 0; i < Math.min(picturesEach, others.length); i++) {
      const { picture, cells } = others[(turn * 7 + i * 13) % others.length] as (typeof others)[number];
      const scopes: [string, Scope][] = [
        ["another thing's cells", { type: "region", image: 0, cells }],
        ["the picture", { type: "image" }],
        ["everywhere", { type: "all" }],
      ];
      for (const [where, scope] of scopes) {
        for (const value of strengths) {
          const texts = await answers(engine, picture?.bytes as Uint8Array, { feature: feature.index, value, scope }, feature.maximum);
          naming.add(`${where}, ${value} × maximum`, texts, (answer) => names(answer, feature.label));
        }
      }
    }
    const present = [...feature.top.keys()]
      .map((sha256) => byHash.get(sha256))
      .filter((picture) => picture?.caption && names(picture.caption, feature.label));
    for (const picture of present.slice(0, picturesEach)) {
      for (const [where, scope] of [
        ["the picture", { type: "image" }],
        ["everywhere", { type: "all" }],
      ] as [string, Scope][]) {
        const texts = await answers(engine, picture?.bytes as Uint8Array, { feature: feature.index, op: "ablate", scope }, feature.maximum);
        // Only what the untouched model names can be removed.
        if (names(texts.baseline ?? "", feature.label)) removing.add(where, texts, (answer) => !names(answer, feature.label));
      }
    }
  }
  console.log(`\n## ${engine.ref}: ${chosen.length} features, asked "what do you see ?"`);
  naming.print("named though absent");
  removing.print("no longer named when ablated");
}
