"use client";
import { useQuery } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useReducer, useState } from "react";
import type { RunToken } from "@/components/steer/run-state";
import { streamAttribution } from "@/lib/api/attribute";
import { type FeatureTraits, traitsQueryOptions } from "@/lib/api/feature-traits";
import type { AttributionEffect, AttributionEvent, AttributionParts, AttributionRequest, AttributionResult } from "@/lib/core/attribution";
import { asFacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { type LeftOutKind, leftOutKinds, type TraceMetric } from "@/lib/core/trace-link";
import { type AttributionState, attributionReducer, noAttribution } from "./attribution-state";
import type { TracePosition, TraceRow } from "./contributions";

/** How many features are listed one by one, and how many of the first are removed one by one. */
const listed = 200;
const measured = 20;

/** The request that explains a token of the answer that was given. */
export function attributionRequest(
  request: GenerateRequest,
  tokens: readonly Pick<RunToken, "id">[],
  place: number,
  metric: TraceMetric,
): AttributionRequest {
  return {
    dictionary: request.dictionary,
    version: request.version,
    messages: request.messages,
    answer: tokens.map(({ id }) => id),
    maxTokens: Math.max(1, tokens.length),
    interventions: request.interventions,
    mode: request.mode,
    position: place,
    metric:
      metric.type === "answer"
        ? { type: "logprob" }
        : metric.type === "logit"
          ? { type: "logit" }
          : { type: "difference", baseline: metric.type === "against" ? metric.token : undefined },
    method: { type: "gradient" },
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

/** What the numbers are of. */
function metricWords({ metric }: AttributionResult): Trace["metric"] {
  const value = `The metric itself is ${metric.value.toFixed(2).replace("-", "−")} here; the sum is its first-order part, which need not equal it.`;
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
export function useAttribution(request: AttributionRequest) {
  const [state, dispatch] = useReducer(attributionReducer, noAttribution);
  const [again, setAgain] = useState(0);
  const retry = useCallback(() => setAgain((times) => times + 1), []);
  // The same request made anew is the same.
  const key = JSON.stringify(request);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `again` asks once more
  useEffect(() => {
    const leaving = new AbortController();
    const { signal } = leaving;
    dispatch({ type: "start" });
    const listen = async () => {
      try {
        for await (const event of streamAttribution(JSON.parse(key) as AttributionRequest, { signal })) {
          if (signal.aborted) return;
          dispatch({ type: "event", event: event as AttributionEvent });
        }
      } catch (error) {
        if (!signal.aborted) dispatch({ type: "fail", error: asFacetError(error).toJSON() });
      }
    };
    void listen();
    return () => leaving.abort();
  }, [key, again]);

  const { result } = state;
  const features = useMemo(() => result?.rows.map(({ feature }) => feature) ?? [], [result]);
  const version = result?.dictionary.sha256.slice(0, 12);
  const traits = useQuery({ ...traitsQueryOptions(request.dictionary, features, version), enabled: features.length > 0 });
  const found = useMemo(
    () => (result ? traceOf(JSON.parse(key) as AttributionRequest, result, state, traits.data) : null),
    [key, result, state, traits.data],
  );
  return { status: state.status, position: state.position, toMeasure: state.toMeasure, error: state.error, found, retry };
}
