/** What an attribution has said so far: a pure reducer over the engine's events. */
import type { WireError } from "@/components/steer/run-state";
import type { AttributionEffect, AttributionEvent, AttributionResult } from "@/lib/core/attribution";
import { rankCorrelation } from "@/lib/core/rank-correlation";

export interface AttributionState {
  /** `waiting`: sent; `queued`: others are ahead; `measuring`: the estimates are there and effects come in. */
  status: "waiting" | "queued" | "measuring" | "done" | "failed";
  /** Requests ahead while `queued`. */
  position: number;
  result: AttributionResult | null;
  effects: AttributionEffect[];
  /** How many features are removed one by one in all. */
  toMeasure: number;
  agreement: { n: number; rankCorrelation: number | null } | null;
  /** Features beyond the first whose removal was asked for later and is still to come. */
  more: number[];
  error: WireError | null;
}

export const noAttribution: AttributionState = {
  status: "waiting",
  position: 0,
  result: null,
  effects: [],
  toMeasure: 0,
  agreement: null,
  more: [],
  error: null,
};

export type AttributionAction =
  | { type: "start" }
  | { type: "event"; event: AttributionEvent }
  /** Further features are being measured, in a stream of their own; its events; its end, good or not. */
  | { type: "more"; features: number[] }
  | { type: "more-event"; event: AttributionEvent }
  | { type: "more-end" }
  /** What came before stays. */
  | { type: "fail"; error: WireError };

export function attributionReducer(state: AttributionState, action: AttributionAction): AttributionState {
  if (action.type === "start") return noAttribution;
  if (action.type === "fail") return { ...state, status: "failed", error: action.error };
  if (action.type === "more") return { ...state, more: action.features };
  if (action.type === "more-end") return { ...state, more: [] };
  const { event } = action;
  if (action.type === "more-event") {
    if (event.type !== "measured") return state;
    const effects = [...state.effects, ...event.effects];
    return {
      ...state,
      effects,
      more: state.more.filter((feature) => !event.effects.some((one) => one.feature === feature)),
      agreement: {
        n: effects.length,
        rankCorrelation: rankCorrelation(
          effects.map(({ estimate }) => estimate),
          effects.map(({ effect }) => effect),
        ),
      },
    };
  }
  switch (event.type) {
    case "queued":
      return { ...state, status: "queued", position: event.position };
    case "result":
      return { ...state, status: "measuring", result: event.result };
    case "measured":
      return { ...state, effects: [...state.effects, ...event.effects], toMeasure: event.total };
    case "agreement":
      return { ...state, agreement: { n: event.n, rankCorrelation: event.rankCorrelation } };
    case "done":
      return { ...state, status: "done" };
    case "error":
      return { ...state, status: "failed", error: event.error };
  }
}
