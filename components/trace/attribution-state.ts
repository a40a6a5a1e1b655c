/** What an attribution has said so far: a pure reducer over the engine's events. */
import type { WireError } from "@/components/steer/run-state";
import type { AttributionEffect, AttributionEvent, AttributionResult } from "@/lib/core/attribution";

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
  error: WireError | null;
}

export const noAttribution: AttributionState = {
  status: "waiting",
  position: 0,
  result: null,
  effects: [],
  toMeasure: 0,
  agreement: null,
  error: null,
};

export type AttributionAction =
  | { type: "start" }
  | { type: "event"; event: AttributionEvent }
  /** What came before stays. */
  | { type: "fail"; error: WireError };

export function attributionReducer(state: AttributionState, action: AttributionAction): AttributionState {
  if (action.type === "start") return noAttribution;
  if (action.type === "fail") return { ...state, status: "failed", error: action.error };
  const { event } = action;
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
