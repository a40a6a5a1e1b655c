/** An embedder that keeps on disk what it has made, so that a second database need not wait for the same vectors again. */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { openMiniLm } from "@/lib/search/embed-minilm";
import type { Embedder } from "@/lib/search/embedder";

export class KeptEmbedder implements Embedder {
  readonly id: string;
  /** Texts that were embedded now, and how long that took. */
  made = 0;
  seconds = 0;
  readonly #kept = new Map<string, Float32Array>();

  private constructor(
    private readonly inner: Embedder,
    private readonly folder: string,
  ) {
    this.id = inner.id;
  }

  static async open(folder: string): Promise<KeptEmbedder> {
    const inner = await openMiniLm();
    if (!inner) throw new Error("models/minilm is not there.");
    const embedder = new KeptEmbedder(inner, folder);
    if (existsSync(path.join(folder, "texts.json"))) {
      const texts = JSON.parse(await readFile(path.join(folder, "texts.json"), "utf8")) as string[];
      const bytes = await readFile(path.join(folder, "vectors.f32"));
      const all = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      const size = all.length / texts.length;
      for (const [i, text] of texts.entries()) embedder.#kept.set(text, all.subarray(i * size, (i + 1) * size));
    }
    return embedder;
  }

  reads(text: string): boolean {
    return this.inner.reads(text);
  }

  async embed(texts: readonly string[], options: { signal?: AbortSignal; threads?: number } = {}): Promise<Float32Array[]> {
    const fresh = texts.filter((text) => !this.#kept.has(text));
    const started = performance.now();
    const vectors = await this.inner.embed(fresh, options);
    this.seconds += (performance.now() - started) / 1_000;
    this.made += fresh.length;
    for (const [i, text] of fresh.entries()) this.#kept.set(text, vectors[i] as Float32Array);
    return texts.map((text) => this.#kept.get(text) as Float32Array);
  }

  async save(): Promise<void> {
    if (this.made === 0) return;
    await mkdir(this.folder, { recursive: true });
    const vectors = [...this.#kept.values()];
    const size = vectors[0]?.length ?? 0;
    const all = new Float32Array(size * vectors.length);
    for (const [i, vector] of vectors.entries()) all.set(vector, i * size);
    const put = async (name: string, data: string | Uint8Array) => {
      const file = path.join(this.folder, name);
      await writeFile(`${file}.draft`, data);
      await rename(`${file}.draft`, file);
    };
    await put("vectors.f32", new Uint8Array(all.buffer));
    await put("texts.json", JSON.stringify([...this.#kept.keys()]));
  }
}
