/** The exported graphs as functions: vision → embedding → lower blocks │ encoder │ upper blocks. */
import type { Codes } from "@/lib/core/clamp-arithmetic.mjs";
import type { Bounds } from "./draft.mjs";
import type { EngineDictionary, EngineManifest } from "./manifest";
import {
  type Checked,
  type Draft,
  type DraftStep,
  floatsOf,
  type Hook,
  type HookReport,
  type HookStep,
  output,
  type Runtime,
  type Session,
  type Step,
  type Tensor,
  type Tensors,
} from "./runtime";
import { type HookWeights, joined, type TokenClamps, TokenHook } from "./token-hook.mjs";

/** Keys and values of some decoder blocks by input name. Never changed in place, so that arms can go on from the same one; to be released. */
export type Cache = ReadonlyMap<string, Tensor>;

/** One member's rows of a cache that serves a batch. */
export interface Place {
  cache: Cache;
  row: number;
}

export interface Sessions {
  vision: Session;
  embed: Session;
  lower: Session;
  upper: Session;
  encode: Session;
  /** Opened when it is first needed; null where the model was exported without. */
  gradient: (() => Promise<Session>) | null;
}

/** What a gradient is of: Σ_m (selector[m] · logits[m] − normalizer[m] · ln Σ exp logits[m]) over the positions m; `selector` is [m, vocabulary]. */
export interface Read {
  positions: readonly number[];
  selector: Float32Array;
  normalizer: Float32Array;
}

export interface Hidden {
  /** [batch · rows, width]. */
  states: Float32Array;
  cache: Cache;
}

export interface Logits {
  /** Of the last position, [vocabulary]; one a member of the batch. */
  last: Float32Array[];
  cache: Cache;
}

/** One token of each member, through both halves. */
export interface TokenPass {
  ids: readonly number[];
  lower: Cache;
  /** Null where the tokens are only looked at and never enter the upper half. */
  upper: Cache | null;
  /** What each member does at the hook, and whether the codes before and after are wanted; null where nobody does or wants anything. */
  hooked: { arms: readonly (TokenClamps | null)[]; listed: boolean } | null;
  /** In the place of `hooked`: guesses what the members' clamps meet, and may check. */
  drafted?: Omit<DraftStep, "states">;
}

export interface PassedToken {
  lower: Cache;
  /** Null where the tokens did not enter it, by the request or by a guess that was found to be wrong. */
  upper: Logits | null;
  report: HookReport | null;
  checked: Checked | null;
}

export class CutModel {
  readonly width: number;
  /** The same clamping in this thread, for whoever must look on at it. */
  readonly tokenHook: TokenHook;

  constructor(
    readonly manifest: EngineManifest,
    readonly dictionary: EngineDictionary,
    readonly runtime: Runtime,
    readonly weights: HookWeights,
    private readonly hook: Hook,
    private readonly sessions: Sessions,
  ) {
    this.width = manifest.decoder.width;
    this.tokenHook = new TokenHook(weights, (states) => this.encode(joined(states)));
  }

  /** Pixel values [3, S, S] of each image → embeddings [rows·cols, width] of each. */
  async vision(pixels: Float32Array[]): Promise<Float32Array[]> {
    const { size } = this.manifest.image;
    const embeds: Float32Array[] = [];
    // One at a time: an image's embeddings must not depend on what else is in the request.
    for (const image of pixels) {
      const outputs = await this.sessions.vision.run({ pixel_values: { data: image, dims: [1, 3, size, size] } });
      embeds.push(floatsOf(outputs, "image_embeds"));
    }
    return embeds;
  }

  /** Token ids → embeddings [T, width]. */
  async embed(ids: readonly number[]): Promise<Float32Array> {
    const outputs = await this.sessions.embed.run({ input_ids: { data: BigInt64Array.from(ids, BigInt), dims: [1, ids.length] } });
    return floatsOf(outputs, "embeds");
  }

  /** Embeddings [batch · T, width] behind the cached positions → hidden states at the hook. */
  async lower(embeds: Float32Array, cache: Cache | null, batch = 1): Promise<Hidden> {
    const { first, last } = { first: 0, last: this.dictionary.layer };
    const outputs = await this.runBlocks(this.sessions.lower, "embeds", embeds, batch, first, last, cache);
    return { states: floatsOf(outputs, "hidden"), cache: cacheOf(outputs, first, last) };
  }

  /** Hidden states [batch · T, width] behind the cached positions → logits of each member's last one. */
  async upper(hidden: Float32Array, cache: Cache | null, batch = 1): Promise<Logits> {
    const { first, last } = { first: this.dictionary.layer + 1, last: this.manifest.decoder.layers - 1 };
    const outputs = await this.runBlocks(this.sessions.upper, "hidden", hidden, batch, first, last, cache);
    return { last: lastOf(outputs, batch), cache: cacheOf(outputs, first, last) };
  }

  /** Logits of some positions of each sequence [T · width], all equally long: [vocabulary] each. */
  async logitsAt(states: readonly Float32Array[], positions: readonly number[]): Promise<Float32Array[][]> {
    const first = this.dictionary.layer + 1;
    const last = this.manifest.decoder.layers - 1;
    const outputs = await this.runBlocks(this.sessions.upper, "hidden", joined(states), states.length, first, last, null);
    this.release(cacheOf(outputs, first, last));
    const logits = floatsOf(outputs, "logits");
    const vocabulary = output(outputs, "logits").dims.at(-1) as number;
    const length = (states[0]?.length ?? 0) / this.width;
    return states.map((_, member) =>
      positions.map((position) => logits.slice((member * length + position) * vocabulary, (member * length + position + 1) * vocabulary)),
    );
  }

  /** How many token ids there are. */
  async vocabulary(): Promise<number> {
    const [[logits]] = (await this.logitsAt([new Float32Array(this.width)], [0])) as [[Float32Array]];
    return logits.length;
  }

  get hasGradient(): boolean {
    return this.sessions.gradient !== null;
  }

  /** The gradient of what is read with respect to each sequence's states [T · width], all equally long. */
  async gradient(states: readonly Float32Array[], { positions, selector, normalizer }: Read): Promise<Float32Array[]> {
    const session = await this.sessions.gradient?.();
    if (!session) throw new Error("The model was exported without its gradient.");
    const size = states[0]?.length ?? 0;
    const outputs = await session.run({
      hidden: { data: joined(states), dims: [states.length, size / this.width, this.width] },
      positions: { data: BigInt64Array.from(positions, BigInt), dims: [positions.length] },
      selector: { data: selector, dims: [positions.length, selector.length / positions.length] },
      normalizer: { data: normalizer, dims: [positions.length] },
    });
    const gradient = floatsOf(outputs, "gradient");
    return states.map((_, member) => gradient.slice(member * size, (member + 1) * size));
  }

  /** Hidden states [N, width] → their TopK latents. */
  async encode(hidden: Float32Array): Promise<Codes> {
    const outputs = await this.sessions.encode.run({ hidden: { data: hidden, dims: [hidden.length / this.width, this.width] } });
    const indices = output(outputs, "indices").data as BigInt64Array;
    return { k: this.dictionary.k, indices: Int32Array.from(indices, Number), values: floatsOf(outputs, "values") };
  }

  /** One token of each member behind the cached positions → its hidden state at the hook, [members, width]. */
  async token(ids: readonly number[], cache: Cache): Promise<Hidden> {
    const { first, last } = { first: 0, last: this.dictionary.layer };
    const [, outputs] = (await this.runtime.chain(this.below(ids, cache, ["hidden"]))) as [Tensors, Tensors];
    return { states: floatsOf(outputs, "hidden"), cache: cacheOf(outputs, first, last) };
  }

  /** Tokens through both halves, clamped between them, in one exchange with the runtime: a small model would feel the cost of more. */
  async wholeToken({ ids, lower, upper, hooked, drafted }: TokenPass): Promise<PassedToken> {
    const { layer } = this.dictionary;
    const end = this.manifest.decoder.layers - 1;
    const steps: (Step | HookStep | DraftStep)[] = this.below(ids, lower, []);
    const hidden = { step: 1, name: "hidden" };
    if (drafted) steps.push({ states: hidden, ...drafted });
    else if (hooked) steps.push({ hook: this.hook, states: hidden, ...hooked });
    if (upper) {
      const { feeds, keep } = this.behind(layer + 1, end, upper, ids.length);
      steps.push({
        session: this.sessions.upper,
        feeds: { ...feeds, hidden: steps.length > 2 ? { step: 2, name: "hidden" } : hidden },
        keep,
      });
    }
    const passed = await this.runtime.chain(steps);
    const raised = upper && passed.length === steps.length ? (passed.at(-1) as Tensors) : null;
    return {
      lower: cacheOf(passed[1] as Tensors, 0, layer),
      upper: raised && { last: lastOf(raised, ids.length), cache: cacheOf(raised, layer + 1, end) },
      report: drafted ? null : hooked && (passed[2] as HookReport),
      checked: drafted ? (passed[2] as Checked | null) : null,
    };
  }

  /** Lets tokens of some arms be clamped by guesses; `forced` is for tests. To be released. */
  draft(arms: readonly (TokenClamps | null)[], forced: Bounds | null): Promise<Draft> {
    return this.runtime.draft(this.hook, arms, forced);
  }

  /** A cache without its last `positions`; a new one, whose source stays. */
  async without(cache: Cache, positions: number): Promise<Cache> {
    const tensors = [...cache.values()];
    const length = (tensors[0]?.dims[2] as number) - positions;
    const trimmed = await this.runtime.trim(tensors, length);
    return new Map([...cache.keys()].map((name, i) => [name, trimmed[i] as Tensor]));
  }

  /** Embedding and lower half of one token of each member. `gives`: what of the lower half is wanted here. */
  private below(ids: readonly number[], cache: Cache, gives: string[]): [Step, Step] {
    const { embed, lower } = this.sessions;
    const { feeds, keep } = this.behind(0, this.dictionary.layer, cache, ids.length);
    return [
      { session: embed, feeds: { input_ids: { data: BigInt64Array.from(ids, BigInt), dims: [ids.length, 1] } }, give: [] },
      { session: lower, feeds: { ...feeds, embeds: { step: 0, name: "embeds" } }, keep, give: [...keep, ...gives] },
    ];
  }

  private runBlocks(
    session: Session,
    name: string,
    rows: Float32Array,
    batch: number,
    first: number,
    last: number,
    cache: Cache | null,
  ): Promise<Tensors> {
    const { feeds, keep } = this.behind(first, last, cache, batch);
    return session.run({ ...feeds, [name]: { data: rows, dims: [batch, rows.length / this.width / batch, this.width] } }, keep);
  }

  /** The caches that some blocks are fed, and the names of those that they give. */
  private behind(first: number, last: number, cache: Cache | null, batch: number): { feeds: Tensors; keep: string[] } {
    const { kv_heads, head_dim } = this.manifest.decoder;
    const keep = cacheNames(first, last);
    const feeds = keep.map((name): [string, Tensor] => {
      const input = `past_${name}`;
      return [input, cache?.get(input) ?? { data: new Float32Array(0), dims: [batch, kv_heads, 0, head_dim] }];
    });
    return { feeds: Object.fromEntries(feeds), keep };
  }

  /** One cache of the members' places in others, in their order; a new one, whose sources stay. */
  async gather(places: readonly Place[]): Promise<Cache> {
    const names = [...(places[0]?.cache.keys() ?? [])];
    const parts = names.map((name) => places.map(({ cache, row }) => ({ tensor: cache.get(name) as Tensor, row })));
    const tensors = await this.runtime.gather(parts);
    return new Map(names.map((name, i) => [name, tensors[i] as Tensor]));
  }

  /** Gives up caches that nothing goes on from. */
  release(...caches: (Cache | null)[]): void {
    this.runtime.release(caches.flatMap((cache) => (cache ? [...cache.values()] : [])));
  }
}

/** Logits of each member's last position. */
function lastOf(outputs: Tensors, batch: number): Float32Array[] {
  const logits = floatsOf(outputs, "logits");
  const vocabulary = output(outputs, "logits").dims.at(-1) as number;
  const each = logits.length / batch;
  return Array.from({ length: batch }, (_, member) => logits.subarray((member + 1) * each - vocabulary, (member + 1) * each));
}

function cacheNames(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => [`key.${first + i}`, `value.${first + i}`]).flat();
}

function cacheOf(outputs: Tensors, first: number, last: number): Cache {
  return new Map(cacheNames(first, last).map((name) => [`past_${name}`, output(outputs, name)]));
}

/** Some rows of [rows, width], in order. */
export function gatherRows(states: Float32Array, rows: readonly number[], width: number): Float32Array {
  const gathered = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    gathered.set(states.subarray(row * width, (row + 1) * width), i * width);
  });
  return gathered;
}
