/** A prompt's passage through vision, embedding and lower blocks, once for all arms of a request. */
import type { Codes } from "@/lib/core/clamp-arithmetic.mjs";
import { type Cache, type CutModel, gatherRows, type Hidden, type Logits } from "./cut-model";
import type { Prompt } from "./prompt";

export class Prefill {
  private readonly codesByRows = new Map<string, Promise<Codes>>();
  private plain: Promise<Logits> | null = null;

  private constructor(
    private readonly model: CutModel,
    /** [T, width] at the hook. */
    readonly hidden: Float32Array,
    readonly cache: Cache,
    /** Milliseconds that all arms share. */
    readonly durationMs: number,
  ) {}

  static async run(model: CutModel, prompt: Prompt, pixels: Float32Array[]): Promise<Prefill> {
    const start = performance.now();
    const { states, cache } = await lowerOf(model, prompt, pixels);
    return new Prefill(model, states, cache, performance.now() - start);
  }

  /** Latents of some rows; arms that ask for the same rows share them. */
  codes(rows: readonly number[]): Promise<Codes> {
    const key = rows.join();
    const known = this.codesByRows.get(key);
    if (known) return known;
    const codes = this.model.encode(gatherRows(this.hidden, rows, this.model.width));
    this.codesByRows.set(key, codes);
    return codes;
  }

  /** Gives up the caches; the arms must have finished. */
  async release(): Promise<void> {
    const plain = await this.plain?.catch(() => null);
    this.model.release(this.cache, plain?.cache ?? null);
  }

  /** Whether the cache is one that other arms go on from. */
  async shares(cache: Cache | null): Promise<boolean> {
    return cache === this.cache || cache === (await this.plain)?.cache;
  }

  /** The upper half over the unchanged hidden states; arms that change nothing in the prompt share it. */
  unchangedUpper(): Promise<Logits> {
    this.plain ??= this.model.upper(this.hidden, null);
    return this.plain;
  }
}

/** A prompt, its pictures in their places, through the lower blocks. */
export async function lowerOf(model: CutModel, prompt: Prompt, pixels: Float32Array[]): Promise<Hidden> {
  const [embeds, grids] = [await model.embed(prompt.ids), await model.vision(pixels)];
  prompt.layout.images.forEach(({ start }, i) => {
    embeds.set(grids[i] as Float32Array, start * model.width);
  });
  return model.lower(embeds, null);
}
