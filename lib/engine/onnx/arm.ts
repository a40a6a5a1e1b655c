/** One arm of a run: its own upper prefill, then token by token, with its clamps applied and counted at the hook. */
import type { ClampPlan } from "@/lib/core/clamp";
import { type ClampedSlab, type Codes, clampSlab, noCodes, type Variant } from "@/lib/core/clamp-arithmetic.mjs";
import { FacetError } from "@/lib/core/errors";
import type { ActiveFeature, Alternative, Arm, EngineEvent, GenerateRequest, Receipt, WatchedWord } from "@/lib/core/protocol";
import { createRandom } from "@/lib/core/random";
import { ReceiptLedger } from "@/lib/core/receipt";
import { chooseToken, likeliest, logSoftmax } from "@/lib/core/sampling";
import type { Tap } from "../engine";
import type { Cache, CutModel, Logits, Place } from "./cut-model";
import type { Bounds } from "./draft.mjs";
import type { Prefill } from "./prefill";
import type { TextCodec } from "./text";
import type { TokenClamps } from "./token-hook.mjs";
import { totalVariation, WatchLedger } from "./watch";

export interface ArmSetting {
  arm: Arm;
  request: GenerateRequest;
  /** Without clamps for `baseline` and `reconstruction`. */
  plan: ClampPlan;
  variant: Variant;
  /** Whether the dictionary's reconstruction replaces the hidden states. */
  reconstructs: boolean;
  tap: Tap;
  /** The request's watched words. */
  watch: WatchedWord[];
  /** Of a sweep's point. */
  sweep?: Receipt["sweep"];
}

/** What an arm's receipt holds beyond what the arm knows itself. */
export type ReceiptFrame = Pick<Receipt, "model" | "dictionary" | "prompt" | "engine"> & {
  queuedMs: number;
  /** The baseline's first distribution, as log-probabilities; null where there is none. */
  baseline: Float64Array | null;
};

export type TokenEvent = Extract<EngineEvent, { type: "token" }>;

export class ArmRun {
  readonly arm: Arm;
  /** What its upper prefill left, also of the prompt alone where other arms share it. */
  startCache: Cache | null = null;
  /** The first token's distribution, as log-probabilities; null before it. */
  first: Float64Array | null = null;
  /** Where its keys and values lie, below the hook and above. */
  private readonly places: { lower: Place; upper: Place | null };
  private readonly ledger: ReceiptLedger;
  private readonly watch: WatchLedger;
  private readonly random: () => number;
  /** Random numbers of the tokens so far, one each: a token may be chosen again. */
  private readonly draws: number[] = [];
  /** Of clamps on generated tokens, their indices in the plan. */
  private readonly generatedClamps: number[];
  /** What it does to each token that it writes; null where that is nothing. */
  readonly tokenClamps: TokenClamps | null;
  private readonly ids: number[] = [];
  private text = "";
  private logits: Float32Array = new Float32Array(0);
  private prefillMs = 0;
  private decodeMs = 0;
  private finish: Receipt["finish"] | null = null;

  constructor(
    private readonly model: CutModel,
    private readonly codec: TextCodec,
    private readonly prefill: Prefill,
    private readonly setting: ArmSetting,
  ) {
    const { arm, plan, request } = setting;
    this.arm = arm;
    this.ledger = new ReceiptLedger(plan, arm, setting.reconstructs ? "reconstruct" : "delta");
    this.watch = new WatchLedger(setting.watch);
    this.random = createRandom(request.sampling.seed);
    this.generatedClamps = plan.clamps.flatMap(({ generated }, index) => (generated ? [index] : []));
    this.tokenClamps = this.clampsOfTokens();
    this.places = { lower: { cache: prefill.cache, row: 0 }, upper: null };
  }

  get finished(): boolean {
    return this.finish !== null;
  }

  /** The prompt's passage through this arm's upper half. */
  async start(): Promise<void> {
    const start = performance.now();
    const { last, cache } = await this.startUpper();
    this.logits = last[0] as Float32Array;
    this.startCache = cache;
    this.places.upper = { cache, row: 0 };
    this.prefillMs = this.prefill.durationMs + performance.now() - start;
  }

  private async startUpper(): Promise<Logits> {
    const { plan, reconstructs, tap } = this.setting;
    const { hidden } = this.prefill;
    const codedRows = reconstructs ? Array.from({ length: plan.layout.length }, (_, row) => row) : plan.positions;
    if (codedRows.length === 0 && !tap.onHidden) return this.prefill.unchangedUpper();
    const clampsAt = new Map<number, number[]>();
    plan.clamps.forEach(({ positions }, index) => {
      for (const position of positions) clampsAt.set(position, [...(clampsAt.get(position) ?? []), index]);
    });
    const codes = codedRows.length ? await this.prefill.codes(codedRows) : noCodes;
    const { variant } = this.setting;
    const slab: ClampedSlab = codedRows.length
      ? clampSlab(reconstructs ? "reconstruct" : "delta", plan.clamps, variant, this.model.weights.decoder, {
          hidden,
          codedRows,
          codes,
          clampsAt: (row) => clampsAt.get(row) ?? [],
        })
      : { output: hidden.slice(), reference: hidden, changes: [] };
    this.show(hidden, slab, 0);
    this.ledger.record(slab, slab.output, hidden, this.model.width, 0);
    return this.model.upper(slab.output, null);
  }

  private clampsOfTokens(): TokenClamps | null {
    const { plan, reconstructs, variant } = this.setting;
    if (!reconstructs && this.generatedClamps.length === 0) return null;
    const clamps = this.generatedClamps.map((index) => {
      const { intervention, unitActivation } = plan.clamps[index] as ClampPlan["clamps"][number];
      const { feature, op, value } = intervention;
      return { intervention: { feature, op, value }, unitActivation };
    });
    const own: Variant =
      variant.kind === "random"
        ? { kind: "random", substitutes: this.generatedClamps.map((index) => variant.substitutes[index] as number) }
        : variant;
    return { mode: reconstructs ? "reconstruct" : "delta", clamps, variant: own };
  }

  /** Lets a test see, and change, what the upper half is about to be given. */
  private show(hidden: Float32Array, { output }: ClampedSlab, first: number): void {
    const { arm, tap } = this.setting;
    const { width } = this.model;
    tap.onHidden?.({ arm, first, rows: hidden.length / width, width, hidden, output });
  }

  /** Writes one token. Null when there was none to write: the arm has finished. */
  write(): TokenEvent | null {
    const { request, tap, arm } = this.setting;
    const i = this.ids.length;
    tap.onLogits?.(arm, i, this.logits);
    const logprobs = logSoftmax(this.logits);
    if (Number.isNaN(logprobs[0])) throw outOfRange();
    this.first ??= logprobs;
    const watched = this.watch.record(i, logprobs);
    const id = this.choose(i, this.logits);
    if (id === null || id === this.model.manifest.tokens.eos) {
      this.finish = "stop";
      return null;
    }
    const logprob = logprobs[id] as number;
    if (!Number.isFinite(logprob)) throw outOfRange();
    const alternatives = likeliest(logprobs, request.alternatives).map(
      (other): Alternative => ({ id: other.id, text: this.shown(other.id), logprob: other.logprob }),
    );
    const text = this.codec.added(this.ids, id);
    this.ids.push(id);
    this.text += text;
    if (this.ids.length === request.sampling.maxTokens) this.finish = "length";
    return { type: "token", arm, i, id, text, logprob, alternatives, ...(watched.length && { watched }) };
  }

  private choose(i: number, logits: Float32Array): number | null {
    const { tap, arm, request } = this.setting;
    const forced = tap.force?.[arm];
    if (forced) return forced[i] ?? null;
    return chooseToken(logits, request.sampling, () => this.draw(i));
  }

  private draw(i: number): number {
    while (this.draws.length <= i) this.draws.push(this.random());
    return this.draws[i] as number;
  }

  /**
   * The token that would enter the model `ahead` tokens behind the last one written, were these the logits before it; null where the answer would end. Nothing
   * is written by that.
   */
  ahead(logits: Float32Array, ahead: number): number | null {
    const i = this.ids.length + ahead - 1;
    const id = this.choose(i, logits);
    const ends = id === this.model.manifest.tokens.eos || i + 1 >= this.setting.request.sampling.maxTokens;
    return ends ? null : id;
  }

  /** An alternative's text; markers, which add nothing to the text, by their own name. */
  private shown(id: number): string {
    return this.codec.marker(id) ?? this.codec.added(this.ids, id);
  }

  place(half: "lower" | "upper"): Place {
    const place = this.places[half];
    if (!place) throw new Error(`The arm ${this.arm} has not started.`);
    return place;
  }

  moveTo(half: "lower" | "upper", place: Place): void {
    this.places[half] = place;
  }

  /** The token written last, which enters the model next. */
  get lastId(): number {
    return this.ids.at(-1) as number;
  }

  /** For tests: what guesses go by. */
  get guesses(): Bounds | null {
    return this.setting.tap.guesses ?? null;
  }

  /** Tells a test of a guess that was found to be wrong. */
  wentBack(): void {
    this.setting.tap.onBack?.(this.arm);
  }

  /** Whether a test looks on at the hook. */
  get watched(): boolean {
    return this.setting.tap.onHidden !== undefined;
  }

  /** Position of the token written last. */
  private get position(): number {
    return this.setting.plan.layout.length + this.ids.length - 1;
  }

  /** The last token's clamped state, before the upper half is given it. One that ends the answer is only looked at: it never enters the model. */
  showToken(state: Float32Array, slab: ClampedSlab): void {
    if (!this.finished) this.show(state, slab, this.position);
  }

  /** Counts what was done to the last token, from what the upper half was given. */
  countToken(state: Float32Array, slab: ClampedSlab): void {
    if (this.finished) return;
    const changes = slab.changes.map((change) => ({ ...change, clamp: this.generatedClamps[change.clamp] as number }));
    this.ledger.record({ ...slab, changes }, slab.output, state, this.model.width, this.position);
  }

  /** What the upper half made of the last token. */
  receive(logits: Float32Array): void {
    this.logits = logits;
  }

  /** Counts time that writing took, together with the other arms' tokens. */
  spend(ms: number): void {
    this.decodeMs += ms;
  }

  cancel(): void {
    this.finish ??= "cancelled";
  }

  /**
   * What this arm did. Throws `clamp_nowhere` when the steered arm ended before a clamp on generated tokens met any.
   */
  async receipt({ queuedMs, baseline, ...frame }: ReceiptFrame): Promise<Receipt> {
    const { request, plan, sweep } = this.setting;
    const finish = this.finish ?? "cancelled";
    const unapplied = this.arm === "steered" && finish !== "cancelled" ? this.ledger.unappliedClamp() : null;
    if (unapplied !== null) {
      const feature = plan.clamps[unapplied]?.intervention.feature;
      throw new FacetError(
        "clamp_nowhere",
        `The clamp on feature ${feature} was applied nowhere: the answer ended before a generated token passed through the hook.`,
        { fix: "Ask for a longer answer, or clamp the image or the prompt." },
      );
    }
    const changed = this.ledger.changedStates();
    return {
      arm: this.arm,
      ...this.ledger.tally(changed.length ? await this.model.encode(changed) : noCodes),
      text: this.text,
      finish,
      ...frame,
      ...(sweep && { sweep }),
      ...(request.watch && { watched: this.watch.tally() }),
      fromBaseline: baseline && this.first ? totalVariation(this.first, baseline) : null,
      mode: request.mode,
      sampling: request.sampling,
      tokens: this.ids.length,
      timingsMs: { queued: round(queuedMs), prefill: round(this.prefillMs), decode: round(this.decodeMs) },
    };
  }
}

/** The `limit` strongest features of a token, from the codes of its own state and of what the upper half is given. */
export function activeFeatures(own: Codes, given: Codes, limit: number): ActiveFeature[] {
  const found = new Map<number, ActiveFeature>();
  const note = (codes: Codes, side: "before" | "after") => {
    codes.values.forEach((value, i) => {
      if (!(value > 0)) return;
      const index = codes.indices[i] as number;
      const feature = found.get(index) ?? { index, before: 0, after: 0 };
      found.set(index, { ...feature, [side]: value });
    });
  };
  note(own, "before");
  note(given, "after");
  const strength = ({ before, after }: ActiveFeature) => Math.max(before, after);
  return [...found.values()].sort((a, b) => strength(b) - strength(a) || a.index - b.index).slice(0, limit);
}

function outOfRange(): FacetError {
  return new FacetError("engine_failed", "The clamps drove the model's numbers out of range, so it has no answer.", {
    fix: "Use smaller strengths or a smaller scope.",
  });
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
