/** The embedder of `models/minilm`: a sentence model of 23 MB in onnxruntime-node, which reads English and asks nobody. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import type { InferenceSession, Tensor } from "onnxruntime-node";
import { z } from "zod";
import { env } from "@/lib/env";
import type { Embedder } from "./embedder";

const descriptionSchema = z.object({ id: z.string(), max_tokens: z.number().int().min(3) });

/** Characters that can matter: tokens beyond the limit are cut off anyway. */
const mostCharacters = 4_000;

/** Letters of other scripts it knows one by one and not as words. */
export function readsLatin(text: string): boolean {
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  const latin = text.match(/\p{Script=Latin}/gu)?.length ?? 0;
  return latin >= 3 && latin * 2 > letters;
}

interface OrtModule {
  InferenceSession: typeof InferenceSession;
  Tensor: typeof Tensor;
}

export class MiniLm implements Embedder {
  readonly id: string;
  readonly reads = readsLatin;
  readonly #description: z.infer<typeof descriptionSchema>;
  readonly #tokenizer: Tokenizer;
  readonly #separator: number;
  readonly #folder: string;
  #session: { threads: number; opened: Promise<{ ort: OrtModule; session: InferenceSession }> } | undefined;

  constructor(folder: string, description: unknown, tokenizer: object) {
    this.#folder = folder;
    this.#description = descriptionSchema.parse(description);
    this.#tokenizer = new Tokenizer(tokenizer, {});
    this.id = this.#description.id;
    const separator = this.#tokenizer.token_to_id("[SEP]");
    if (separator === undefined) throw new Error("The embedder's tokenizer has no [SEP].");
    this.#separator = separator;
  }

  /** Ids with the marks at both ends, at most `max_tokens`. */
  ids(text: string): number[] {
    const { max_tokens } = this.#description;
    const { ids } = this.#tokenizer.encode(text.slice(0, mostCharacters));
    return ids.length > max_tokens ? [...ids.slice(0, max_tokens - 1), this.#separator] : ids;
  }

  #open(threads: number) {
    if (this.#session?.threads !== threads) {
      const opened = (async () => {
        // A CommonJS module, whose names loaders give at either place.
        const loaded = (await import("onnxruntime-node")) as unknown as OrtModule & { default?: OrtModule };
        const ort = loaded.default ?? loaded;
        const session = await ort.InferenceSession.create(path.join(/* turbopackIgnore: true */ this.#folder, "model.onnx"), {
          executionProviders: ["cpu"],
          intraOpNumThreads: threads,
          interOpNumThreads: 1,
          logSeverityLevel: 3,
        });
        return { ort, session };
      })();
      this.#session = { threads, opened };
    }
    return this.#session.opened;
  }

  /** One text at a time: the model scales its 8-bit numbers by all that goes through at once, and a text's vector must not depend on others. */
  async embed(texts: readonly string[], { signal, threads = 1 }: { signal?: AbortSignal; threads?: number } = {}): Promise<Float32Array[]> {
    const { ort, session } = await this.#open(threads);
    const vectors: Float32Array[] = [];
    for (const text of texts) {
      signal?.throwIfAborted();
      const ids = this.ids(text);
      const { embeddings } = await session.run({
        input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]),
        attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), [1, ids.length]),
      });
      vectors.push(Float32Array.from(embeddings?.data as Float32Array));
    }
    return vectors;
  }
}

/** Null where the model's files are not there. */
export async function openMiniLm(folder = path.join(/* turbopackIgnore: true */ env.root, "models", "minilm")): Promise<MiniLm | null> {
  const file = (name: string) => path.join(/* turbopackIgnore: true */ folder, name);
  if (!["embedder.json", "tokenizer.json", "model.onnx"].every((name) => existsSync(file(name)))) return null;
  const json = async (name: string) => JSON.parse(await readFile(file(name), "utf8"));
  return new MiniLm(folder, await json("embedder.json"), await json("tokenizer.json"));
}
