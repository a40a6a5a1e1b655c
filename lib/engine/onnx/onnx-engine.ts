/** The engine over exported ONNX graphs: one model cut at one dictionary's hook. */
import type { AttributionEvent, AttributionRequest } from "@/lib/core/attribution";
import { checkAttribution } from "@/lib/core/attribution-metric";
import { type ClampPlan, planClamps } from "@/lib/core/clamp";
import { drawSubstitutes } from "@/lib/core/clamp-controls";
import { FacetError } from "@/lib/core/errors";
import { pixelValuesInTurns } from "@/lib/core/preprocess";
import type { PromptFeatures, PromptFeaturesRequest } from "@/lib/core/prompt-features";
import {
  type AnalyseRequest,
  type EngineEvent,
  type GenerateRequest,
  generateRequestSchema,
  type ImageRef,
  type NamedArm,
  type WatchedWord,
} from "@/lib/core/protocol";
import { sweepPoints } from "@/lib/core/sweep";
import type { Engine, EngineInfo, GenerateOptions, ImageFeatures } from "../engine";
import { RequestQueue, type Ticket } from "../queue";
import { ArmRun, type ArmSetting, type ReceiptFrame } from "./arm";
import { attributeStates } from "./attribute";
import { type CutModel, gatherRows } from "./cut-model";
import { groupByFeature } from "./image-features";
import type { LoadedEngine } from "./load";
import { inBatches, Lockstep } from "./lockstep";
import type { EngineDictionary, EngineManifest } from "./manifest";
import { Prefill } from "./prefill";
import { assemblePrompt, imagePrompt, type Prompt } from "./prompt";
import { promptFeatures } from "./prompt-features";
import type { Runtime } from "./runtime";
import { watchedWords } from "./watch";

/** A prompt's clamps and arms, checked; nothing has run yet. */
interface Prepared {
  loaded: LoadedEngine;
  request: GenerateRequest;
  prompt: Prompt;
  /** As the vision tower takes them: the pictures themselves may be large and the wait long. */
  pixels: Float32Array[];
  /** SHA-256 of each picture's file. */
  images: string[];
  settings: ArmSetting[];
  watch: WatchedWord[];
}

/** Pictures are decoded one at a time, whoever asks: one may fill 150 MB until it is squashed. */
const decoding = new RequestQueue(1, Number.POSITIVE_INFINITY);

export class OnnxEngine implements Engine {
  private loading: Promise<LoadedEngine> | null = null;
  private runtime: Runtime | null = null;

  constructor(
    private readonly manifest: EngineManifest,
    private readonly dictionary: EngineDictionary,
    private readonly load: () => Promise<LoadedEngine>,
    private readonly queue: RequestQueue,
    /** Looking for features is short and has a line of its own, so that it need not wait for long answers. */
    private readonly analysisQueue: RequestQueue,
  ) {}

  get ref(): string {
    return `${this.manifest.model.id}/${this.dictionary.id}`;
  }

  /** The loaded model, e.g. to measure its parts. A load that failed, or a runtime that has ended, is tried again by the next call. */
  loaded(): Promise<LoadedEngine> {
    if (this.runtime?.alive === false) this.loading = null;
    this.loading ??= this.load().then(
      (loaded) => {
        this.runtime = loaded.model.runtime;
        return loaded;
      },
      (error: unknown) => {
        this.loading = null;
        throw error;
      },
    );
    return this.loading;
  }

  async info(): Promise<EngineInfo> {
    const { model } = await this.loaded();
    const { manifest, dictionary } = this;
    return {
      ...engineIdentity(model),
      model: { ...manifest.model, imageSize: manifest.image.size, grid: { rows: manifest.image.rows, cols: manifest.image.cols } },
      dictionary: {
        ref: this.ref,
        id: dictionary.id,
        hook: dictionary.hook,
        layer: dictionary.layer,
        sha256: dictionary.sha256,
        numLatents: dictionary.num_latents,
        width: manifest.decoder.width,
        k: dictionary.k,
      },
      maxPositions: manifest.tokens.max_positions,
      modes: ["delta", "reconstruct"],
    };
  }

  async features(input: AnalyseRequest, options: Pick<GenerateOptions, "signal" | "resolveImage">): Promise<ImageFeatures> {
    this.refuseOther(input.dictionary, undefined);
    await this.loaded();
    const ticket = this.analysisQueue.enter(options.signal);
    try {
      await drain(ticket);
      const { pixels } = await this.picture(input.image, options);
      const { model, codec } = await this.loaded();
      const prompt = imagePrompt(input.image, this.manifest, codec);
      const prefill = await Prefill.run(model, prompt, [pixels]);
      await prefill.release();
      const [grid] = prompt.layout.images;
      if (!grid) throw new FacetError("engine_failed", "The model's chat template has no place for an image.");
      const cells = Array.from({ length: grid.rows * grid.cols }, (_, cell) => grid.start + cell);
      const codes = await model.encode(gatherRows(prefill.hidden, cells, model.width));
      return groupByFeature(codes, grid.rows, grid.cols, input.limit);
    } finally {
      ticket.leave();
    }
  }

  /** What fires on every position of a prompt, words and pictures. Throws what `features` throws, and `prompt_empty`, `prompt_too_long`. */
  async promptFeatures(
    { dictionary, messages }: PromptFeaturesRequest,
    options: Pick<GenerateOptions, "signal" | "resolveImage">,
  ): Promise<PromptFeatures> {
    this.refuseOther(dictionary, undefined);
    const { codec } = await this.loaded();
    const prompt = assemblePrompt(messages, 0, this.manifest, codec);
    const ticket = this.analysisQueue.enter(options.signal);
    try {
      await drain(ticket);
      const pixels: Float32Array[] = [];
      for (const image of prompt.images) pixels.push((await this.picture(image, options)).pixels);
      return await promptFeatures(await this.loaded(), prompt, pixels);
    } finally {
      ticket.leave();
    }
  }

  async *generate(request: GenerateRequest, options: GenerateOptions): AsyncGenerator<EngineEvent, void, void> {
    this.refuseOther(request.dictionary, request.version);
    const loaded = await this.loaded();
    const entered = performance.now();
    // First a place in the line: pictures that would be decoded only to be turned away could fill the memory.
    const ticket = this.queue.enter(options.signal);
    try {
      const prepared = await this.prepare(loaded, request, options);
      for await (const position of ticket.positions()) yield { type: "queued", position };
      try {
        // Whoever waited may have outlived the runtime that was there when it came.
        const current = await this.loaded();
        yield* this.run(options, { ...prepared, loaded: current }, performance.now() - entered);
      } catch (error) {
        throw asEngineError(error);
      }
    } finally {
      ticket.leave();
    }
  }

  async *attribute(request: AttributionRequest, options: Omit<GenerateOptions, "tap">): AsyncGenerator<AttributionEvent, void, void> {
    this.refuseOther(request.dictionary, request.version);
    const { model: first } = await this.loaded();
    if (!first.hasGradient) {
      throw new FacetError("engine_unavailable", `${this.ref} was exported without its gradient.`, { fix: "Export the model again." });
    }
    const entered = performance.now();
    const ticket = this.queue.enter(options.signal);
    try {
      const sizes = { vocabulary: await first.vocabulary(), numLatents: this.dictionary.num_latents };
      if (request.answer) checkAttribution(request, request.answer, sizes);
      const prepared = await this.prepare(await this.loaded(), generationOf(request), options);
      // The arm that answers alone: the control stands behind `steered`.
      const settings = prepared.settings.slice(-1);
      for await (const position of ticket.positions()) yield { type: "queued", position };
      const queuedMs = performance.now() - entered;
      try {
        const loaded = await this.loaded();
        const answer = request.answer ?? (await writtenBy(this.run(options, { ...prepared, settings, loaded }, queuedMs)));
        checkAttribution(request, answer, sizes);
        const { prompt, pixels, images } = prepared;
        const { plan, variant } = settings[0] as ArmSetting;
        const input = { request, answer, prompt, pixels, images, plan, variant, queuedMs };
        yield* attributeStates(loaded.model, loaded.codec, input, options.signal);
      } catch (error) {
        throw asEngineError(error);
      }
    } finally {
      ticket.leave();
    }
  }

  private async picture(
    image: ImageRef,
    { signal, resolveImage }: Pick<GenerateOptions, "signal" | "resolveImage">,
  ): Promise<{ pixels: Float32Array; sha256: string }> {
    const ticket = decoding.enter(signal);
    try {
      await drain(ticket);
      const picture = await resolveImage(image);
      const pixels = await pixelValuesInTurns(picture, this.manifest.image.size, this.manifest.image);
      return { pixels, sha256: picture.sha256 };
    } finally {
      ticket.leave();
    }
  }

  private refuseOther(ref: string, version: string | undefined): void {
    if (ref !== this.ref) throw new FacetError("dictionary_not_found", `This engine serves ${this.ref}, not ${ref}.`);
    if (version && !this.dictionary.sha256.startsWith(version)) {
      throw new FacetError(
        "version_mismatch",
        `The request is for version ${version} of ${ref}; this engine has ${this.dictionary.sha256.slice(0, 12)}.`,
      );
    }
  }

  /** Everything that can be refused without running the model. */
  private async prepare(loaded: LoadedEngine, request: GenerateRequest, options: GenerateOptions): Promise<Prepared> {
    const { sampling, mode, interventions } = request;
    const { unitOf, tap = {} } = options;
    const prompt = assemblePrompt(request.messages, sampling.maxTokens, this.manifest, loaded.codec);
    const numLatents = this.dictionary.num_latents;
    const context = { layout: prompt.layout, mode, numLatents, maxTokens: sampling.maxTokens, unitOf };
    const plan = planClamps(interventions, context);
    const points = sweepPoints(request);
    const watch = watchedWords(request.watch ?? [], loaded.codec);
    const none: ClampPlan = { layout: prompt.layout, clamps: [], positions: [], generated: false };
    const reconstructs = mode === "reconstruct";
    const setting = (arm: NamedArm): ArmSetting => {
      const common = { arm, request, tap, watch, variant: { kind: "asked" } as const };
      switch (arm) {
        case "steered":
          return { ...common, plan, reconstructs };
        case "baseline":
          return { ...common, plan: none, reconstructs: false };
        case "reconstruction":
          return { ...common, plan: none, reconstructs: true };
        case "negated":
          return { ...common, plan, reconstructs, variant: { kind: "negated" } };
        case "random": {
          const features = interventions.map(({ feature }) => feature);
          const substitutes = drawSubstitutes(features, numLatents, unitOf, sampling.seed);
          return { ...common, plan, reconstructs, variant: { kind: "random", substitutes } };
        }
      }
    };
    const arms: NamedArm[] = ["steered", ...new Set(request.controls)];
    const swept = points.map(({ arm, sweep, interventions: own }): ArmSetting => {
      return { ...setting("steered"), arm, plan: planClamps(own, context), sweep };
    });
    const pixels: Float32Array[] = [];
    const images: string[] = [];
    for (const image of prompt.images) {
      const picture = await this.picture(image, options);
      pixels.push(picture.pixels);
      images.push(picture.sha256);
    }
    return { loaded, request, prompt, pixels, images, settings: [...arms.map(setting), ...swept], watch };
  }

  private async *run(options: GenerateOptions, prepared: Prepared, queuedMs: number): AsyncGenerator<EngineEvent, void, void> {
    const { loaded, request, prompt, pixels, images, settings, watch } = prepared;
    const { model, codec } = loaded;
    const engine = engineIdentity(model);
    const imageTokens = prompt.layout.images.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
    yield {
      type: "meta",
      arms: settings.map(({ arm }) => arm),
      prompt: { text: prompt.text, imageTokens, textTokens: prompt.layout.length - imageTokens, unknown: prompt.unknown },
      engine,
      ...(request.watch && { watch }),
    };
    if (options.signal.aborted) throw new FacetError("cancelled", "The request was cancelled before it began.");
    const prefill = await Prefill.run(model, prompt, pixels);
    const runs = settings.map((setting) => new ArmRun(model, codec, prefill, setting));
    const batches = inBatches(runs).map((batch) => new Lockstep(model, prefill, request.activeFeatures ?? 0, batch));
    const { hook, sha256, id } = this.dictionary;
    const frame = {
      model: { id: this.manifest.model.id, sha256: this.manifest.model.sha256 },
      dictionary: { id, hook, sha256 },
      prompt: { text: prompt.text, images },
      engine,
      queuedMs,
    };
    try {
      yield* together(runs, batches, frame, options.signal);
    } finally {
      for (const batch of batches) await batch.release();
      await prefill.release();
    }
    yield { type: "done" };
  }
}

/** Arms write one token each at a time, so that answers side by side grow together. */
async function* together(
  runs: ArmRun[],
  batches: Lockstep[],
  frame: Omit<ReceiptFrame, "baseline">,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent, void, void> {
  for (const run of runs) if (!signal.aborted) await run.start();
  const open = new Set(runs);
  while (open.size) {
    for (const batch of batches) {
      if (signal.aborted) for (const run of open) run.cancel();
      else yield* batch.step(signal);
    }
    const baseline = runs.find(({ arm }) => arm === "baseline")?.first ?? null;
    for (const run of open) {
      if (!run.finished) continue;
      open.delete(run);
      yield { type: "receipt", receipt: await run.receipt({ ...frame, baseline }) };
    }
  }
}

/** How an attribution's answer is, or was, written. */
function generationOf({ dictionary, messages, interventions, mode, control, answer, maxTokens }: AttributionRequest): GenerateRequest {
  // A control may have ended before a clamp on generated tokens met any, which is refused of an answer of one token only.
  const length = answer && Math.max(answer.length, control ? 2 : 1);
  const sampling = { maxTokens: length ?? maxTokens, seed: control?.type === "random" ? control.seed : undefined };
  const controls = control ? [control.type] : [];
  return generateRequestSchema.parse({ dictionary, messages, interventions, mode, sampling, controls, alternatives: 0 });
}

async function writtenBy(events: AsyncIterable<EngineEvent>): Promise<number[]> {
  const ids: number[] = [];
  for await (const event of events) {
    if (event.type === "token") ids.push(event.id);
    if (event.type === "receipt" && event.receipt.finish === "cancelled") throw new FacetError("cancelled", "The request was cancelled.");
  }
  return ids;
}

/** Whatever the runtime threw, as this engine's failure. */
function asEngineError(error: unknown): FacetError {
  if (error instanceof FacetError) return error;
  return new FacetError("engine_failed", "The engine failed while it ran the model.", { cause: error });
}

function engineIdentity(model: CutModel): { name: string; version: string; dtype: string } {
  return { name: model.runtime.name, version: model.runtime.version, dtype: "float32" };
}

async function drain(ticket: Ticket): Promise<void> {
  for await (const _ of ticket.positions());
}
