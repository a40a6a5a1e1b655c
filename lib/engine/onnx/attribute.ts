/** One attribution over the exported graphs: states, their gradient, every feature's contribution, then features ablated one by one. */
import type {
  AttributionEffect,
  AttributionEvent,
  AttributionPosition,
  AttributionRequest,
  AttributionResult,
} from "@/lib/core/attribution";
import { metricOf, placesRead, type Target, targetOf } from "@/lib/core/attribution-metric";
import { type ClampPlan, imageAt } from "@/lib/core/clamp";
import { clampSlab, type Variant } from "@/lib/core/clamp-arithmetic.mjs";
import { FacetError } from "@/lib/core/errors";
import { rankCorrelation } from "@/lib/core/rank-correlation";
import { likeliest, logSoftmax } from "@/lib/core/sampling";
import { type Active, activeFeatures, contributionsOf, featurePart, withoutFeature } from "./contributions";
import { type CutModel, gatherRows } from "./cut-model";
import { lowerOf } from "./prefill";
import type { Prompt } from "./prompt";
import type { TextCodec } from "./text";

export interface AttributionInput {
  request: AttributionRequest;
  answer: readonly number[];
  prompt: Prompt;
  pixels: Float32Array[];
  /** SHA-256 of each picture's file. */
  images: string[];
  plan: ClampPlan;
  /** What the arm that answered makes of the clamps. */
  variant: Variant;
  queuedMs: number;
}

/** Ablated features, and steps of the integrated way, that go through the upper half as one batch. */
const batchSize = 8;

class Attribution {
  private constructor(
    private readonly model: CutModel,
    /** [T · width]: what the upper half is given. */
    readonly hidden: Float32Array,
    readonly active: Active,
    /** Places of the answer that are read, and the position that each is read at. */
    private readonly places: number[],
    private readonly prompt: Prompt,
  ) {}

  static async of(model: CutModel, input: AttributionInput, places: number[]): Promise<Attribution> {
    const { prompt, pixels, answer, plan, variant, request } = input;
    const ids = [...prompt.ids, ...answer.slice(0, places.at(-1))];
    const { states, cache } = await lowerOf(model, { ...prompt, ids }, pixels);
    model.release(cache);
    const length = ids.length;
    const generated = Array.from({ length: length - prompt.layout.length }, (_, i) => prompt.layout.length + i);
    const reconstructs = request.mode === "reconstruct";
    const codedRows = reconstructs ? Array.from({ length }, (_, row) => row) : [...plan.positions, ...(plan.generated ? generated : [])];
    let hidden = states;
    if (codedRows.length) {
      const clampsAt = new Map<number, number[]>();
      plan.clamps.forEach(({ positions, generated: onGenerated }, index) => {
        for (const row of [...positions, ...(onGenerated ? generated : [])]) clampsAt.set(row, [...(clampsAt.get(row) ?? []), index]);
      });
      const codes = await model.encode(gatherRows(states, codedRows, model.width));
      const slab = { hidden: states, codedRows, codes, clampsAt: (row: number) => clampsAt.get(row) ?? [] };
      hidden = clampSlab(request.mode, plan.clamps, variant, model.weights.decoder, slab).output;
    }
    return new Attribution(model, hidden, activeFeatures(await model.encode(hidden)), places, prompt);
  }

  get length(): number {
    return this.hidden.length / this.model.width;
  }

  private positionOf(place: number): number {
    return this.prompt.layout.length - 1 + place;
  }

  /** Of each batch member, the logits of each place that is read. */
  async logits(states: Float32Array[]): Promise<Map<number, Float32Array>[]> {
    const rows = await this.model.logitsAt(
      states,
      this.places.map((place) => this.positionOf(place)),
    );
    return rows.map((row) => new Map(this.places.map((place, i) => [place, row[i] as Float32Array])));
  }

  /** The metric of each batch member, by the upper half that answers are written with. */
  async metric(target: Target, states: Float32Array[]): Promise<number[]> {
    return (await this.logits(states)).map((row) => metricOf(target, (place) => row.get(place) as Float32Array));
  }

  /** ∂metric/∂h at each batch member, [T · width]. */
  private slopes(target: Target, states: Float32Array[], vocabulary: number): Promise<Float32Array[]> {
    const selector = new Float32Array(target.places.length * vocabulary);
    target.places.forEach(({ weights }, m) => {
      for (const { id, weight } of weights) selector[m * vocabulary + id] = weight;
    });
    return this.model.gradient(states, {
      positions: target.places.map(({ place }) => this.positionOf(place)),
      selector,
      normalizer: Float32Array.from(target.places, ({ normalizer }) => normalizer),
    });
  }

  /** The gradient, or its mean along the way from the states without features. Throws `cancelled`. */
  async gradient(
    target: Target,
    { method }: AttributionRequest,
    vocabulary: number,
    signal: AbortSignal,
  ): Promise<{ gradient: Float32Array; withoutFeatures: number | null }> {
    if (method.type === "gradient") {
      const [gradient] = await this.slopes(target, [this.hidden], vocabulary);
      return { gradient: gradient as Float32Array, withoutFeatures: null };
    }
    const part = featurePart(this.active, this.length, this.model.weights);
    const onTheWay = (share: number) => this.hidden.map((x, i) => x - (1 - share) * (part[i] as number));
    const mean = new Float64Array(this.hidden.length);
    const shares = Array.from({ length: method.steps }, (_, i) => (i + 0.5) / method.steps);
    for (let i = 0; i < shares.length; i += batchSize) {
      refuseAborted(signal);
      const states = shares.slice(i, i + batchSize).map(onTheWay);
      for (const slope of await this.slopes(target, states, vocabulary)) {
        slope.forEach((x, j) => {
          mean[j] = (mean[j] as number) + x / method.steps;
        });
      }
    }
    const [withoutFeatures] = await this.metric(target, [onTheWay(0)]);
    return { gradient: Float32Array.from(mean), withoutFeatures: withoutFeatures as number };
  }

  /** What ablating each feature takes from the metric, some at a time. Throws `cancelled`. */
  async *effects(target: Target, features: readonly number[], whole: number, signal: AbortSignal): AsyncGenerator<number[], void, void> {
    for (let i = 0; i < features.length; i += batchSize) {
      refuseAborted(signal);
      const batch = features.slice(i, i + batchSize);
      const states = batch.map((feature) => withoutFeature(this.hidden, this.active, feature, this.model.weights));
      yield (await this.metric(target, states)).map((value) => whole - value);
    }
  }
}

function refuseAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new FacetError("cancelled", "The request was cancelled.");
}

/** What stands at each position of the prompt, and of the answer behind it. */
export function positionsOf(prompt: Prompt, answer: readonly number[], length: number, codec: TextCodec): AttributionPosition[] {
  const { layout } = prompt;
  const ids = [...prompt.ids, ...answer];
  return Array.from({ length }, (_, position): AttributionPosition => {
    const id = ids[position] as number;
    const image = imageAt(layout, position);
    if (image >= 0) return { kind: "image", text: "", cell: { image, cell: position - (layout.images[image]?.start as number) } };
    const marker = codec.marker(id);
    const kind = position >= layout.length ? "answer" : marker === null ? "text" : "template";
    return { kind, text: marker ?? codec.decode([id]), cell: null };
  });
}

/** The request is checked, and has its turn. Throws `engine_failed` and `cancelled`. */
export async function* attributeStates(
  model: CutModel,
  codec: TextCodec,
  input: AttributionInput,
  signal: AbortSignal,
): AsyncGenerator<AttributionEvent, void, void> {
  const { request, answer, prompt, images } = input;
  const start = performance.now();
  refuseAborted(signal);
  const run = await Attribution.of(model, input, placesRead(request, answer));
  const [logits] = await run.logits([run.hidden]);
  const here = logits?.get(request.position) as Float32Array;
  const target = targetOf(request, answer, here);
  const value = metricOf(target, (place) => logits?.get(place) as Float32Array);
  if (!Number.isFinite(value)) {
    throw new FacetError("engine_failed", "The model's numbers are out of range, so there is nothing to explain.", {
      fix: "Use smaller strengths.",
    });
  }
  refuseAborted(signal);
  const statesMs = performance.now() - start;
  const { gradient, withoutFeatures } = await run.gradient(target, request, here.length, signal);
  const positions = positionsOf(prompt, answer, run.length, codec);
  const found = contributionsOf(
    run.hidden,
    gradient,
    run.active,
    model.weights,
    positions.map(({ kind }) => kind === "image"),
  );
  const shown = (id: number, place: number) => codec.marker(id) ?? codec.added(answer.slice(0, place), id);
  const token = (id: number | null) => (id === null ? null : { id, text: shown(id, request.position) });
  const logprobs = logSoftmax(here);
  const described = (id: number) => {
    return { id, text: shown(id, request.position), logprob: logprobs[id] as number, logit: here[id] as number };
  };
  const { manifest, dictionary, runtime } = model;
  const result: AttributionResult = {
    model: { id: manifest.model.id, sha256: manifest.model.sha256 },
    dictionary: { id: dictionary.id, hook: dictionary.hook, sha256: dictionary.sha256 },
    engine: { name: runtime.name, version: runtime.version, dtype: "float32" },
    prompt: {
      text: prompt.text,
      images: prompt.layout.images.map(({ rows, cols }, i) => ({ sha256: images[i] as string, rows, cols })),
    },
    positions,
    answer: answer.map((id, i) => ({ id, text: shown(id, i) })),
    position: request.position,
    chosen: described(answer[request.position] as number),
    alternatives: likeliest(logprobs, request.alternatives).map(({ id }) => described(id)),
    metric: {
      type: target.type,
      answer: token(target.answer),
      baseline: token(target.baseline),
      from: target.from,
      to: target.to,
      value,
    },
    method: { type: request.method.type, steps: request.method.type === "integrated" ? request.method.steps : 1, withoutFeatures },
    ...found,
    rows: found.rows.slice(0, request.limit),
    timingsMs: { queued: round(input.queuedMs), states: round(statesMs), gradient: round(performance.now() - start - statesMs) },
  };
  yield { type: "result", result };
  const estimates = new Map(found.rows.map(({ feature, estimate }) => [feature, estimate]));
  const features = [...new Set(request.measure ?? found.rows.slice(0, request.exact).map(({ feature }) => feature))];
  const measured: AttributionEffect[] = [];
  for await (const effects of run.effects(target, features, value, signal)) {
    const batch = effects.map((effect, i) => {
      const feature = features[measured.length + i] as number;
      return { feature, estimate: estimates.get(feature) ?? 0, effect };
    });
    measured.push(...batch);
    yield { type: "measured", effects: batch, done: measured.length, total: features.length };
  }
  const correlation = rankCorrelation(
    measured.map(({ estimate }) => estimate),
    measured.map(({ effect }) => effect),
  );
  yield { type: "agreement", n: measured.length, rankCorrelation: correlation };
  yield { type: "done" };
}

const round = (ms: number) => Math.round(ms * 100) / 100;
