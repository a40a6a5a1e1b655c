import { expect, it } from "vitest";
import type { AttributionEvent, AttributionResult } from "@/lib/core/attribution";
import { type AttributionState, attributionReducer, noAttribution } from "./attribution-state";

const result = { rows: [] } as unknown as AttributionResult;
const effect = (feature: number) => ({ feature, estimate: 1, effect: 0.5 });
const play = (events: AttributionEvent[], from: AttributionState = noAttribution) =>
  events.reduce((state, event) => attributionReducer(state, { type: "event", event }), from);

it("goes from the line over the estimates to the last effect", () => {
  const queued = play([{ type: "queued", position: 2 }]);
  expect(queued).toMatchObject({ status: "queued", position: 2, result: null });
  const half = play(
    [
      { type: "result", result },
      { type: "measured", effects: [effect(3)], done: 1, total: 2 },
    ],
    queued,
  );
  expect(half).toMatchObject({ status: "measuring", toMeasure: 2, effects: [effect(3)], result });
  const whole = play(
    [{ type: "measured", effects: [effect(5)], done: 2, total: 2 }, { type: "agreement", n: 2, rankCorrelation: null }, { type: "done" }],
    half,
  );
  expect(whole).toMatchObject({ status: "done", effects: [effect(3), effect(5)], agreement: { n: 2 } });
});

it("keeps what had come when it fails, and nothing of the one before when it starts again", () => {
  const error = { code: "engine_failed" as const, message: "It broke off.", fix: "Try again.", retry: true };
  const failed = attributionReducer(play([{ type: "result", result }]), { type: "fail", error });
  expect(failed).toMatchObject({ status: "failed", error, result });
  expect(attributionReducer(failed, { type: "start" })).toEqual(noAttribution);
});

it("adds what is measured later, and holds all of it against the estimates", () => {
  const first: AttributionEvent[] = [
    { type: "result", result },
    { type: "measured", effects: [1, 2, 3].map((x) => ({ feature: x, estimate: x, effect: x })), done: 3, total: 3 },
    { type: "agreement", n: 3, rankCorrelation: 1 },
    { type: "done" },
  ];
  const asked = attributionReducer(play(first), { type: "more", features: [7, 8] });
  expect(asked).toMatchObject({ status: "done", more: [7, 8] });
  const event: AttributionEvent = { type: "measured", effects: [{ feature: 7, estimate: 4, effect: 0 }], done: 1, total: 2 };
  const half = attributionReducer(asked, { type: "more-event", event });
  // Ranks 1 2 3 4 against 2 3 4 1: 1 − 6 · 12 / (4 · 15).
  expect(half).toMatchObject({ status: "done", more: [8], agreement: { n: 4 } });
  expect(half.agreement?.rankCorrelation).toBeCloseTo(-0.2, 9);
  expect(attributionReducer(half, { type: "more-event", event: { type: "queued", position: 1 } })).toBe(half);
  expect(attributionReducer(half, { type: "more-end" }).more).toEqual([]);
});
