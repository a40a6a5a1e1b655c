"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { attributeInTab } from "@/components/local-engine/steer-in-tab";
import type { Where } from "@/components/local-engine/use-where";
import type { RunToken } from "@/components/steer/run-state";
import { streamAttribution } from "@/lib/api/attribute";
import { type FeatureTraits, traitsQueryOptions } from "@/lib/api/feature-traits";
import type { AttributionEffect, AttributionParts, AttributionRequest, AttributionResult } from "@/lib/core/attribution";
import { asFacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { type LeftOutKind, leftOutKinds, type TraceView } from "@/lib/core/trace-link";
import { type AttributionState, attributionReducer, noAttribution } from "./attribution-state";
import type { TracePosition, TraceRow } from "./contributions";

/** How many features are listed one by one, and how many of the first are removed one by one. */
const listed = 200;
export const measured = 20;

/** The request that explains a token of the answer that was given. */
export function attributionRequest(
  request: GenerateRequest,
  tokens: readonly Pick<RunToken, "id">[],
  place: number,
  { metric, steps, control }: Pick<TraceView, "metric" | "steps" | "control">,
): AttributionRequest {
  return {
    dictionary: request.dictionary,
    version: request.version,
    messages: request.messages,
    answer: tokens.map(({ id }) => id),
    maxTokens: Math.max(1, tokens.length),
    interventions: request.interventions,
    mode: request.mode,
    control: control === "random" ? { type: control, seed: request.sampling.seed } : (control && { type: control }) || undefined,
    position: place,
    metric:
      metric.type === "answer"
        ? { type: "logprob" }
        : metric.type === "logit"
          ? { type: "logit" }
          : { type: "difference", baseline: metric.type === "against" ? metric.token : undefined },
    method: steps === null ? { type: "gradient" } : { type: "integrated", steps },
    limit: listed,
    exact: measured,
    alternatives: 10,
  };
}

/** What was found, with the catalogue's names. */
export interface Trace {
  rows: TraceRow[];
  positions: readonly TracePosition[];
  /** At each position, the contributions of all features together, of those that are not among `rows` too. */
  sums: readonly number[];
  totals: { [part in keyof AttributionResult["totals"]]: AttributionParts };
  metric: { name: string; note: string };
  /** Spearman's rank correlation of estimates and measurements; null until all are measured. */
  agreement: { n: number; rankCorrelation: number | null } | null;
  /** Names are still to come. */
  unnamed: boolean;
  /** For the export: request and events as they were sent. */
  raw: { request: AttributionRequest; result: AttributionResult; effects: AttributionEffect[]; features: FeatureTraits[] };
}

const signed = (value: number) => value.toFixed(2).replace("-", "−");

/** What the numbers are of. */
function metricWords({ metric, method }: AttributionResult): Trace["metric"] {
  const value =
    method.withoutFeatures === null
      ? `The metric itself is ${signed(metric.value)} here; the sum is its first-order part, which need not equal it.`
      : `The metric itself is ${signed(metric.value)} here and ${signed(method.withoutFeatures)} without any feature: the features' sum nears the ${signed(metric.value - method.withoutFeatures)} between.`;
  const quoted = (token: { text: string } | null) => `“${token?.text.trim() || "␣"}”`;
  if (metric.type === "difference") return { name: `Logit of ${quoted(metric.answer)} over ${quoted(metric.baseline)}`, note: value };
  if (metric.type === "logit") return { name: `Logit of ${quoted(metric.answer)}`, note: value };
  return { name: "Log-probability of the answer", note: value };
}

const kindsOf = (traits: FeatureTraits | undefined): LeftOutKind[] =>
  traits ? leftOutKinds.filter((kind) => ({ always_on: traits.alwaysOn, sink: traits.sink, positional: traits.positional })[kind]) : [];

function traceOf(
  request: AttributionRequest,
  result: AttributionResult,
  state: AttributionState,
  features: FeatureTraits[] | undefined,
): Trace {
  const traits = new Map((features ?? []).map((one) => [one.index, one]));
  const effects = new Map(state.effects.map(({ feature, effect }) => [feature, effect]));
  return {
    rows: result.rows.map(({ feature, image, text, at }) => ({
      feature,
      label: traits.get(feature)?.label ?? null,
      concept: traits.get(feature)?.concept ?? null,
      kinds: kindsOf(traits.get(feature)),
      image,
      text,
      measured: effects.get(feature) ?? null,
      at,
    })),
    positions: result.positions,
    sums: result.sums,
    totals: result.totals,
    metric: metricWords(result),
    agreement: state.agreement,
    unnamed: features === undefined,
    raw: { request, result, effects: state.effects, features: features ?? [] },
  };
}

/** Asks the engine what made the token, keeps what has come, and names the features; another request stops the one before. */
export function useAttribution(request: AttributionRequest, where: { readonly current: Where }) {
  const client = useQueryClient();
  const [state, dispatch] = useReducer(attributionReducer, noAttribution);
  const [again, setAgain] = useState(0);
  const retry = useCallback(() => setAgain((times) => times + 1), []);
  // The same request made anew is the same.
  const key = JSON.stringify(request);
  const stream = useCallback(
    (asked: AttributionRequest, signal: AbortSignal) =>
      where.current === "tab" ? attributeInTab(client, asked, { signal }) : streamAttribution(asked, { signal }),
    [client, where],
  );
  /** What ends with the request, and which features were asked for beyond its first. */
  const current = useRef<{ key: string; leaving: AbortController; asked: Set<number> }>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks once more
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    current.current = { key, leaving, asked: new Set() };
    dispatch({ type: "start" });
    const listen = async () => {
      try {
        for await (const event of stream(JSON.parse(key) as AttributionRequest, signal)) {
          if (signal.aborted) return;
          dispatch({ type: "event", event });
        }
      } catch (error) {
        if (!signal.aborted) dispatch({ type: "fail", error: asFacetError(error).toJSON() });
      }
    };
    void listen();
    return () => leaving.abort();
  }, [key, again, stream]);

  /** Removes further features one by one, each once: one that could not be measured is not asked for again. */
  const measureAlso = useCallback(
    async (features: readonly number[]) => {
      if (!current.current) return;
      const { key, leaving, asked } = current.current;
      const { signal } = leaving;
      const fresh = features.filter((feature) => !asked.has(feature));
      if (fresh.length === 0 || signal.aborted) return;
      for (const feature of fresh) asked.add(feature);
      dispatch({ type: "more", features: fresh });
      try {
        const request: AttributionRequest = { ...(JSON.parse(key) as AttributionRequest), measure: fresh, limit: 1, alternatives: 0 };
        for await (const event of stream(request, signal)) {
          if (signal.aborted) return;
          dispatch({ type: "more-event", event });
        }
      } catch {
        // The list stays as it is: these have no measurement.
      }
      if (!signal.aborted) dispatch({ type: "more-end" });
    },
    [stream],
  );

  const { result } = state;
  const features = useMemo(() => result?.rows.map(({ feature }) => feature) ?? [], [result]);
  const version = result?.dictionary.sha256.slice(0, 12);
  const traits = useQuery({ ...traitsQueryOptions(request.dictionary, features, version), enabled: features.length > 0 });
  const found = useMemo(
    () => (result ? traceOf(JSON.parse(key) as AttributionRequest, result, state, traits.data) : null),
    [key, result, state, traits.data],
  );
  const { status, position, toMeasure, more, error } = state;
  return { status, position, toMeasure, more, error, found, retry, measureAlso };
}
