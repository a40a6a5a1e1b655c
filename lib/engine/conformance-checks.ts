/** What the conformance suite sees of a run, and the arithmetic it holds it against: plain, and apart from the engine's own. */
import { expect } from "vitest";
import type { ClampPlan, PromptLayout } from "@/lib/core/clamp";
import { targetActivation } from "@/lib/core/clamp-arithmetic.mjs";
import type { Arm, EngineEvent, GenerateRequest, Intervention, Receipt } from "@/lib/core/protocol";
import type { Engine, GenerateOptions, HookEvent, ResolveImage, Tap } from "./engine";

/** The dictionary's weights as they lie in the file. */
export interface Weights {
  width: number;
  numLatents: number;
  k: number;
  /** [numLatents, width]. */
  encoder: Float32Array;
  encoderBias: Float32Array;
  /** [numLatents, width]. */
  decoder: Float32Array;
  decoderBias: Float32Array;
}

export type ClampInput = Partial<Intervention> & { feature: number };

/** The pictures that tests ask about; the factory makes two that differ. */
export const pictures = [{ sha256: "0".repeat(64) }, { sha256: "1".repeat(64) }] as const;

export interface EngineUnderTest {
  engine: Engine;
  dictionary: string;
  weights: Weights;
  resolveImage: ResolveImage;
  layout(request: GenerateRequest): Promise<PromptLayout>;
  /** A word that the model has no token for. */
  unwritable: string;
  /** Greedy tokens from the model run whole each time: no dictionary, no cache. */
  plainGreedy(request: GenerateRequest, tokens: number): Promise<number[]>;
}

/** In what engines may differ, by where they run. What is not named here is the same in all. */
export interface Capabilities {
  /** What a tap writes into the states changes the run: through a connection it only looks. */
  tapWrites: boolean;
  /** An arm's numbers are the same to the last bit whatever runs beside it or looks at it; else within 1e-4, and its tokens and counts all the same. */
  exactBeside: boolean;
  /** Log-probabilities are computed by lib/core/sampling.ts; elsewhere the last bits of exp and ln may differ. */
  exactLogprobs: boolean;
  /** An aborted run still ends its arms with receipts; else it throws `cancelled`, its connection being closed. */
  receiptsAfterAbort: boolean;
  /** Which features make a token what it is; else it says that it cannot. */
  attributes: boolean;
}

export interface Factory {
  capabilities: Capabilities;
  /** An engine that runs `concurrency` requests at once and lets `bound` wait. */
  create(limits: { concurrency: number; bound: number }): Promise<EngineUnderTest>;
  destroy?(subject: EngineUnderTest): Promise<void>;
}

export interface Outcome {
  events: EngineEvent[];
  receipts: Partial<Record<Arm, Receipt>>;
  tokens: Partial<Record<Arm, number[]>>;
  logits: Partial<Record<Arm, Float32Array[]>>;
  hooks: Partial<Record<Arm, HookEvent[]>>;
}

export interface RunOptions {
  tap?: Tap;
  signal?: AbortSignal;
  unitOf?: GenerateOptions["unitOf"];
  onEvent?: (event: EngineEvent) => void;
}

const never = new AbortController().signal;

function push<T>(record: Partial<Record<Arm, T[]>>, arm: Arm, item: T): void {
  const list = record[arm] ?? [];
  list.push(item);
  record[arm] = list;
}

/** Runs a request to its end and keeps everything that passed. */
export async function runAll(
  { engine, resolveImage }: EngineUnderTest,
  request: GenerateRequest,
  options: RunOptions = {},
): Promise<Outcome> {
  const outcome: Outcome = { events: [], receipts: {}, tokens: {}, logits: {}, hooks: {} };
  const tap: Tap = {
    force: options.tap?.force,
    // What a test's own tap does to the states comes first, so that what is kept is what the upper half is given.
    onHidden: (event) => {
      options.tap?.onHidden?.(event);
      push(outcome.hooks, event.arm, { ...event, hidden: event.hidden.slice(), output: event.output.slice() });
    },
    onLogits: (arm, _i, logits) => push(outcome.logits, arm, logits.slice()),
  };
  const events = engine.generate(request, { signal: options.signal ?? never, resolveImage, unitOf: options.unitOf ?? (() => 1), tap });
  for await (const event of events) {
    outcome.events.push(event);
    if (event.type === "token") push(outcome.tokens, event.arm, event.id);
    if (event.type === "receipt") outcome.receipts[event.receipt.arm] = event.receipt;
    options.onEvent?.(event);
  }
  return outcome;
}

/** Holds logits of passes against each other: bit for bit, or within 1e-4. */
export function expectSameLogits(own: Float32Array[] | undefined, wanted: Float32Array[] | undefined, exact: boolean): void {
  if (exact) {
    expect(own).toEqual(wanted);
    return;
  }
  expect(own?.length).toBe(wanted?.length);
  const apart = (own ?? []).flatMap((row, i) => Array.from(row, (x, id) => Math.abs(x - (wanted?.[i]?.[id] ?? Number.NaN))));
  expect(Math.max(0, ...apart)).toBeLessThan(1e-4);
}

/** What a value may be where its numbers need not be exact: counts, texts and names the same, measurements to `digits` decimals. */
export function nearly(value: unknown, digits: number): unknown {
  if (typeof value === "number") return Number.isInteger(value) ? value : expect.closeTo(value, digits);
  if (Array.isArray(value)) return value.map((item) => nearly(item, digits));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, nearly(item, digits)]));
}

/** TopK latents of one hidden state by the paper's formula, in double precision: feature → activation. */
export function latents(weights: Weights, hidden: Float32Array): Map<number, number> {
  const { width, numLatents, k, encoder, encoderBias, decoderBias } = weights;
  const centred = Float64Array.from(hidden, (x, j) => x - (decoderBias[j] as number));
  const active: [number, number][] = [];
  for (let feature = 0; feature < numLatents; feature++) {
    let sum = encoderBias[feature] as number;
    for (let j = 0; j < width; j++) sum += (encoder[feature * width + j] as number) * (centred[j] as number);
    if (sum > 0) active.push([feature, sum]);
  }
  return new Map(active.sort(([, a], [, b]) => b - a).slice(0, k));
}

/** Σ (v − a) · W_dec over the clamps that cover a position. */
export function requestedChange(weights: Weights, plan: ClampPlan, position: number, hidden: Float32Array): Float64Array {
  const change = new Float64Array(weights.width);
  const generated = position >= plan.layout.length;
  const covering = plan.clamps.filter((clamp) => (generated ? clamp.generated : clamp.positions.includes(position)));
  if (covering.length === 0) return change;
  const active = latents(weights, hidden);
  for (const { intervention, unitActivation } of covering) {
    const { feature } = intervention;
    const activation = active.get(feature) ?? 0;
    const amount = targetActivation(intervention, unitActivation, activation) - activation;
    for (let j = 0; j < weights.width; j++)
      change[j] = (change[j] as number) + amount * (weights.decoder[feature * weights.width + j] as number);
  }
  return change;
}

/** Row `row` of a slab's hidden or output states. */
export function rowOf(event: HookEvent, part: "hidden" | "output", row: number): Float32Array {
  return event[part].subarray(row * event.width, (row + 1) * event.width);
}

export function norm(vector: ArrayLike<number>): number {
  return Math.hypot(...Array.from(vector));
}

/**
 * Holds captured(steered) − captured(baseline) against the request at every position: equal to 1e-4 of its norm where a clamp acts, bit for bit nothing where
 * none does. Throws for the first position that differs; returns how many were changed.
 */
export function checkRequestedChange(weights: Weights, plan: ClampPlan, steered: HookEvent[], baseline: HookEvent[]): number {
  if (steered.length !== baseline.length)
    throw new Error(`The hook was passed ${steered.length} times, without clamps ${baseline.length} times.`);
  let changed = 0;
  steered.forEach((event, pass) => {
    const base = baseline[pass] as HookEvent;
    for (let row = 0; row < event.rows; row++) {
      const position = event.first + row;
      const before = rowOf(base, "output", row);
      const after = rowOf(event, "output", row);
      const difference = Float64Array.from(after, (x, j) => x - (before[j] as number));
      const wanted = requestedChange(weights, plan, position, before);
      const size = norm(wanted);
      const error = norm(difference.map((x, j) => x - (wanted[j] as number)));
      if (size === 0 ? error > 0 : error > 1e-4 * size) {
        throw new Error(`At position ${position} the state differs from the request by ${error} of ${size}.`);
      }
      if (size > 0) changed++;
    }
  });
  return changed;
}
