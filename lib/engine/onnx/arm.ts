/** One arm of a run: its own upper prefill, then token by token, with its clamps applied and counted at the hook. */
import type { ClampPlan } from "@/lib/core/clamp";
import { type ClampedSlab, type Codes, clampSlab, type Variant } from "@/lib/core/clamp-arithmetic";
import { FacetError } from "@/lib/core/errors";
import type { Alternative, Arm, EngineEvent, GenerateRequest, Receipt } from "@/lib/core/protocol";
import { createRandom } from "@/lib/core/random";
import { ReceiptLedger } from "@/lib/core/receipt";
import { chooseToken, likeliest, logSoftmax } from "@/lib/core/sampling";
import type { Tap } from "../engine";
import type { Cache, CutModel, Logits } from "./cut-model";
import type { Prefill } from "./prefill";
import type { TextCodec } from "./text";

export interface ArmSetting {
  arm: Arm;
  request: GenerateRequest;
  /** Without clamps for `baseline` and `reconstruction`. */
  plan: ClampPlan;
  variant: Variant;
  /** Whether the dictionary's reconstruction replaces the hidden states. */
  reconstructs: boolean;
  tap: Tap;
  /** Of a sweep's point. */
  sweep?: Receipt["sweep"];
}

/** What an arm's receipt holds beyond what the arm knows itself. */
export type ReceiptFrame = Pick<Receipt, "model" | "dictionary" | "prompt" | "engine"> & { queuedMs: number };

type TokenEvent = Extract<EngineEvent, { type: "token" }>;

export class ArmRun {
  readonly arm: Arm;
  private readonly ledger: ReceiptLedger;
  private readonly random: () => number;
  private readonly generatedClamps: number[];
  private readonly ids: number[] = [];
  private text = "";
  private logits: Float32Array = new Float32Array(0);
  private lowerCache: Cache | null = null;
  private upperCache: Cache | null = null;
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
    this.random = createRandom(request.sampling.seed);
    this.generatedClamps = plan.clamps.flatMap(({ generated }, index) => (generated ? [index] : []));
  }

  get finished(): boolean {
    return this.finish !== null;
  }

  /** The prompt's passage through this arm's upper half. */
  async start(): Promise<void> {
    const start = performance.now();
    const upper = await this.startUpper();
    this.logits = upper.last;
    this.upperCache = upper.cache;
    this.lowerCache = this.prefill.cache;
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
    return this.throughHook(hidden, 0, codedRows, codes, (row) => clampsAt.get(row) ?? [], null);
  }

  /** Clamps a slab, counts what came of it, and runs the upper half on it. */
  private throughHook(
    hidden: Float32Array,
    first: number,
    codedRows: number[],
    codes: Codes,
    clampsAt: (row: number) => number[],
    cache: Cache | null,
  ): Promise<Logits> {
    const { arm, plan, variant, reconstructs, tap } = this.setting;
    const { width, decoder } = this.model;
    const slab: ClampedSlab =
      codedRows.length || tap.onHidden
        ? clampSlab(reconstructs ? "reconstruct" : "delta", plan.clamps, variant, decoder, { hidden, codedRows, codes, clampsAt })
        : { output: hidden, reference: hidden, changes: [] };
    tap.onHidden?.({ arm, first, rows: hidden.length / width, width, hidden, output: slab.output });
    this.ledger.record(slab, slab.output, hidden, width, first);
    return this.model.upper(slab.output, cache);
  }

  /** Writes one token. Null when there was none to write: the arm has finished. */
  async step(): Promise<TokenEvent | null> {
    const start = performance.now();
    const { request, tap, arm } = this.setting;
    const i = this.ids.length;
    tap.onLogits?.(arm, i, this.logits);
    const id = this.choose(i);
    if (id === null || id === this.model.manifest.tokens.eos) {
      this.finish = "stop";
      this.decodeMs += performance.now() - start;
      return null;
    }
    const event = this.tokenEvent(i, id);
    this.ids.push(id);
    this.text += event.text;
    if (this.ids.length === request.sampling.maxTokens) this.finish = "length";
    else await this.advance(id);
    this.decodeMs += performance.now() - start;
    return event;
  }

  private choose(i: number): number | null {
    const { tap, arm, request } = this.setting;
    const forced = tap.force?.[arm];
    if (forced) return forced[i] ?? null;
    return chooseToken(this.logits, request.sampling, this.random);
  }

  private tokenEvent(i: number, id: number): TokenEvent {
    const logprobs = logSoftmax(this.logits);
    if (!Number.isFinite(logprobs[id])) {
      throw new FacetError("engine_failed", "The clamps drove the model's numbers out of range, so it has no answer.", {
        fix: "Use smaller strengths or a smaller scope.",
      });
    }
    const alternatives = likeliest(logprobs, this.setting.request.alternatives).map(
      ({ id: other, logprob }): Alternative => ({ id: other, text: this.shown(other), logprob }),
    );
    return { type: "token", arm: this.arm, i, id, text: this.codec.added(this.ids, id), logprob: logprobs[id] as number, alternatives };
  }

  /** An alternative's text; markers, which add nothing to the text, by their own name. */
  private shown(id: number): string {
    return this.codec.marker(id) ?? this.codec.added(this.ids, id);
  }

  private async advance(id: number): Promise<void> {
    const { states, cache } = await this.model.lower(await this.model.embed([id]), this.lowerCache);
    await this.releaseOwn(this.lowerCache);
    this.lowerCache = cache;
    const first = this.setting.plan.layout.length + this.ids.length - 1;
    const coded = this.setting.reconstructs || this.generatedClamps.length > 0;
    const codes = coded ? await this.model.encode(states) : noCodes;
    const upper = await this.throughHook(states, first, coded ? [0] : [], codes, () => this.generatedClamps, this.upperCache);
    await this.releaseOwn(this.upperCache);
    this.logits = upper.last;
    this.upperCache = upper.cache;
  }

  private async releaseOwn(cache: Cache | null): Promise<void> {
    if (cache && !(await this.prefill.shares(cache))) this.model.release(cache);
  }

  /** Gives up the caches; nothing can be written afterwards. */
  async release(): Promise<void> {
    await this.releaseOwn(this.lowerCache);
    await this.releaseOwn(this.upperCache);
  }

  cancel(): void {
    this.finish ??= "cancelled";
  }

  /**
   * What this arm did. Throws `clamp_nowhere` when the steered arm ended before a clamp on generated tokens met any.
   */
  receipt({ queuedMs, ...frame }: ReceiptFrame): Receipt {
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
    return {
      arm: this.arm,
      ...this.ledger.tally(),
      text: this.text,
      finish,
      ...frame,
      ...(sweep && { sweep }),
      mode: request.mode,
      sampling: request.sampling,
      tokens: this.ids.length,
      timingsMs: { queued: round(queuedMs), prefill: round(this.prefillMs), decode: round(this.decodeMs) },
    };
  }
}

const noCodes: Codes = { k: 0, indices: new Int32Array(0), values: new Float32Array(0) };

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
