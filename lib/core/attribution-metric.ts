/** An attribution's metric, made exact: which logits of which places of the answer it reads. Every engine refuses the same requests. */
import type { AttributionRequest } from "./attribution";
import { FacetError } from "./errors";
import { logSoftmax } from "./sampling";

/** metric = Σ over places of (Σ weight · logit − normalizer · ln Σ exp logit). */
export interface Target {
  type: AttributionRequest["metric"]["type"];
  places: { place: number; weights: { id: number; weight: number }[]; normalizer: number }[];
  answer: number | null;
  baseline: number | null;
  from: number;
  to: number;
}

/**
 * Refuses what cannot be without the model. `vocabulary`: number of token ids. Throws `place_unknown`, `token_unknown`, `feature_not_found` and
 * `invalid_request`.
 */
export function checkAttribution(
  request: AttributionRequest,
  answer: readonly number[],
  { vocabulary, numLatents }: { vocabulary: number; numLatents: number },
): void {
  const { metric, position, measure = [] } = request;
  const absent = measure.find((feature) => feature >= numLatents);
  if (absent !== undefined) {
    throw new FacetError("feature_not_found", `There is no feature ${absent} to measure: the dictionary has 0 to ${numLatents - 1}.`);
  }
  const named = metric.type === "logprob" ? [] : [metric.answer, metric.type === "difference" ? metric.baseline : undefined];
  for (const id of [...answer, ...named]) {
    if (id !== undefined && id >= vocabulary) {
      throw new FacetError("token_unknown", `The model has no token ${id}: its ids are 0 to ${vocabulary - 1}.`);
    }
  }
  if (position >= answer.length) {
    throw new FacetError("place_unknown", `The answer has ${answer.length} tokens, so there is no place ${position}, counted from 0.`);
  }
  if (metric.type === "logprob") {
    const { from = 0, to = answer.length } = metric;
    if (to > answer.length) throw new FacetError("place_unknown", `The answer has ${answer.length} tokens and the span ends at ${to}.`);
    if (from >= to) throw new FacetError("invalid_request", `metric: the span from ${from} to ${to} holds no token.`);
  }
  if (metric.type === "difference" && metric.baseline !== undefined && metric.baseline === (metric.answer ?? answer[position])) {
    throw new FacetError("invalid_request", "metric: answer and baseline are the same token, whose difference is nothing.");
  }
}

/** Places of the answer whose logits are read: the metric's and `position`, ascending. */
export function placesRead(request: AttributionRequest, answer: readonly number[]): number[] {
  const { metric, position } = request;
  if (metric.type !== "logprob") return [position];
  const { from = 0, to = answer.length } = metric;
  const places = new Set([position, ...Array.from({ length: to - from }, (_, i) => from + i)]);
  return [...places].sort((a, b) => a - b);
}

/** The metric of a checked request. `logits`: those from which the token at `position` is chosen. */
export function targetOf(request: AttributionRequest, answer: readonly number[], logits: Float32Array): Target {
  const { metric, position } = request;
  if (metric.type === "logprob") {
    const { from = 0, to = answer.length } = metric;
    const places = answer.slice(from, to).map((id, i) => ({ place: from + i, weights: [{ id, weight: 1 }], normalizer: 1 }));
    return { type: "logprob", places, answer: null, baseline: null, from, to };
  }
  const id = metric.answer ?? (answer[position] as number);
  const frame = { answer: id, from: position, to: position + 1 };
  if (metric.type === "logit") {
    return { ...frame, type: "logit", baseline: null, places: [{ place: position, weights: [{ id, weight: 1 }], normalizer: 0 }] };
  }
  const baseline = metric.baseline ?? likeliestOther(logits, id);
  const weights = [
    { id, weight: 1 },
    { id: baseline, weight: -1 },
  ];
  return { ...frame, type: "difference", baseline, places: [{ place: position, weights, normalizer: 0 }] };
}

function likeliestOther(logits: Float32Array, id: number): number {
  let best = id === 0 ? 1 : 0;
  logits.forEach((logit, other) => {
    if (other !== id && logit > (logits[best] as number)) best = other;
  });
  return best;
}

/** The metric's value from the logits of its places. */
export function metricOf(target: Target, logitsAt: (place: number) => Float32Array): number {
  let value = 0;
  for (const { place, weights, normalizer } of target.places) {
    const logits = logitsAt(place);
    for (const { id, weight } of weights) value += weight * (logits[id] as number);
    // ln Σ exp = logit − log-probability, of any token.
    if (normalizer) value -= normalizer * ((logits[0] as number) - (logSoftmax(logits)[0] as number));
  }
  return value;
}
