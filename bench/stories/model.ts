/** The embedded model and its catalogue as the search for stories asks them: pictures with their truth, features with their labels, answers, attributions. */
import path from "node:path";
import { type AttributionRequestInput, type AttributionResult, attributionRequestSchema } from "@/lib/core/attribution";
import { armText, isRecorded, type RecordedEvent } from "@/lib/core/experiment";
import { plainAnswer } from "@/lib/core/mend";
import { panelOf } from "@/lib/core/mend-panel";
import { type GenerateRequestInput, generateRequestSchema, type ImageRef, type Intervention } from "@/lib/core/protocol";
import { decodeImage } from "@/lib/engine/decode-image";
import type { ResolvedImage } from "@/lib/engine/engine";
import { parseManifest } from "@/lib/engine/onnx/load";
import type { OnnxEngine } from "@/lib/engine/onnx/onnx-engine";
import type { NodeRuntime } from "@/lib/engine/onnx/runtime-node";
import { createEngines, readManifest } from "@/lib/engine/registry";
import { env } from "@/lib/env";
import { imageColumns, openBundle, openTables } from "@/lib/formats/bundle";
import { openTable } from "@/lib/formats/parquet";

/** A picture of the catalogue; `things` are the noun phrases of its true caption, without their articles. */
export interface Picture {
  sha256: string;
  bytes: Uint8Array;
  caption: string;
  things: string[];
}

/** One dictionary: its engine, its features' names and their own largest activations. */
export interface Dictionary {
  ref: string;
  engine: OnnxEngine;
  labels: Map<number, string>;
  maxima: Float32Array;
}

const never = new AbortController().signal;

/** "a dog at the top and an egg at the left on a grey background" → ["dog", "egg"]. */
export function thingsOf(caption: string): string[] {
  const listed = caption.slice(0, Math.max(0, caption.lastIndexOf(" on a")));
  return listed.split(/ , | and /).flatMap((part) => /^an? (.+) (?:at|in) the [\w-]+$/.exec(part)?.[1] ?? []);
}

export const withArticle = (phrase: string) => `${/^[aeiou]/.test(phrase) ? "an" : "a"} ${phrase}`;

export class Model {
  private constructor(
    readonly pictures: Picture[],
    readonly dictionaries: Dictionary[],
  ) {}

  private readonly plain = new Map<string, string>();
  private readonly costs = new Map<string, { changed: number; of: number }>();

  static async open(): Promise<Model> {
    const text = await readManifest(env.engineDir);
    if (text === null) throw new Error(`No model at ${env.engineDir}.`);
    const engines = createEngines(env.engineDir, parseManifest(text), { concurrency: 2, bound: 16 });
    const folder = path.join(env.engineDir, "..", "bundle");
    const table = await openTable(path.join(folder, "images.parquet"), imageColumns);
    const pictures: Picture[] = [];
    for await (const batch of table.batches(256)) {
      for (const { sha256, bytes, caption } of batch) {
        if (caption) pictures.push({ sha256, bytes, caption, things: thingsOf(caption) });
      }
    }
    const { dictionaries } = await openTables(await openBundle(folder));
    const read = dictionaries.map(async ({ entry, tables }): Promise<Dictionary> => {
      const ref = `${parseManifest(text).model.id}/${entry.id}`;
      const engine = engines.get(ref);
      if (!engine) throw new Error(`engine.json does not name ${ref}.`);
      const labels = new Map<number, string>();
      for await (const batch of tables.explanations.batches(4096)) {
        for (const { index, label, preferred } of batch) if (preferred && label) labels.set(index, label);
      }
      const maxima = new Float32Array(entry.num_latents);
      for await (const batch of tables.features.batches(4096)) {
        for (const { index, max_activation } of batch) maxima[index] = max_activation ?? 0;
      }
      return { ref, engine, labels, maxima };
    });
    return new Model(pictures, await Promise.all(read));
  }

  /** Ends the model's thread. */
  async close(): Promise<void> {
    const [dictionary] = this.dictionaries;
    if (dictionary) await ((await dictionary.engine.loaded()).model.runtime as NodeRuntime).end();
  }

  readonly resolveImage = async (image: ImageRef): Promise<ResolvedImage> => {
    const wanted = "sha256" in image ? image.sha256 : "";
    const picture = this.pictures.find(({ sha256 }) => sha256 === wanted);
    if (!picture) throw new Error(`The catalogue has no picture ${wanted}.`);
    return { ...(await decodeImage(picture.bytes)), sha256: wanted };
  };

  /** What the engine streams for a request. */
  async run(dictionary: Dictionary, request: GenerateRequestInput): Promise<RecordedEvent[]> {
    const events: RecordedEvent[] = [];
    const options = { signal: never, resolveImage: this.resolveImage, unitOf: (feature: number) => dictionary.maxima[feature] ?? 0 };
    for await (const event of dictionary.engine.generate(generateRequestSchema.parse(request), options)) {
      if (event.type === "error") throw new Error(event.error.message);
      if (isRecorded(event)) events.push(event);
    }
    return events;
  }

  /** The answer to one question about one picture, as the model gives it by itself. */
  async answer(sha256: string, text: string): Promise<string> {
    const key = `${sha256} ${text}`;
    const known = this.plain.get(key);
    if (known !== undefined) return known;
    const [dictionary] = this.dictionaries as [Dictionary];
    const events = await this.run(dictionary, {
      dictionary: dictionary.ref,
      messages: asking(sha256, text),
      controls: [],
      alternatives: 0,
    });
    const said = plainAnswer(armText(events, "steered") ?? "");
    this.plain.set(key, said);
    return said;
  }

  /** The first token against its likeliest alternative, the twenty largest contributions ablated one by one. */
  async attribute(dictionary: Dictionary, sha256: string, text: string, more: Partial<AttributionRequestInput> = {}) {
    const request = attributionRequestSchema.parse({ dictionary: dictionary.ref, messages: asking(sha256, text), exact: 20, ...more });
    const options = { signal: never, resolveImage: this.resolveImage, unitOf: () => 1 };
    let result: AttributionResult | null = null;
    const effects = new Map<number, number>();
    for await (const event of dictionary.engine.attribute(request, options)) {
      if (event.type === "result") result = event.result;
      if (event.type === "measured") for (const { feature, effect } of event.effects) effects.set(feature, effect);
    }
    if (!result) throw new Error("The attribution gave no result.");
    return { result, effects };
  }

  /** How many of the fixed panel's answers some clamps change; `except` leaves questions out that are about what is meant to change. */
  async harm(dictionary: Dictionary, clamps: Intervention[], except = /^$/): Promise<{ changed: number; of: number }> {
    const key = JSON.stringify([dictionary.ref, clamps, except.source]);
    const known = this.costs.get(key);
    if (known) return known;
    const panel = panelOf("facet-emoji").filter(({ text }) => !except.test(text));
    let changed = 0;
    for (const { image, text } of panel) {
      const sha256 = image as string;
      const request = { dictionary: dictionary.ref, messages: asking(sha256, text), interventions: clamps, controls: [], alternatives: 0 };
      const after = armText(await this.run(dictionary, request), "steered") ?? "";
      if (plainAnswer(after) !== (await this.answer(sha256, text))) changed += 1;
    }
    this.costs.set(key, { changed, of: panel.length });
    return { changed, of: panel.length };
  }
}

export const asking = (sha256: string, text: string): GenerateRequestInput["messages"] => [
  {
    role: "user",
    content: [
      { type: "image", image: { sha256 } },
      { type: "text", text },
    ],
  },
];
