import { describe, expect, it } from "vitest";
import { type AttributionRequestInput, attributionRequestSchema } from "./attribution";
import { checkAttribution, metricOf, placesRead, targetOf } from "./attribution-metric";
import { rankCorrelation } from "./rank-correlation";

const answer = [3, 1, 2];
const asked = (more: Partial<AttributionRequestInput>) =>
  attributionRequestSchema.parse({
    dictionary: "a/b",
    messages: [{ role: "user", content: [{ type: "text", text: "?" }] }],
    answer,
    ...more,
  });
const rows = [Float32Array.of(0, 1, 2, 4), Float32Array.of(1, 1, 5, 1), Float32Array.of(0, 0, 3, -1)];
const evaluated = (more: Partial<AttributionRequestInput>) => {
  const request = asked(more);
  const target = targetOf(request, answer, rows[request.position] as Float32Array);
  return { target, value: metricOf(target, (place) => rows[place] as Float32Array) };
};
const logprob = (row: number[], id: number) => (row[id] as number) - Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));

describe("an attribution's metric", () => {
  it("compares the token that stands there with the likeliest other one, or those that are named", () => {
    expect(evaluated({})).toMatchObject({ value: 2, target: { answer: 3, baseline: 2 } });
    expect(evaluated({ position: 1 })).toMatchObject({ value: -4, target: { answer: 1, baseline: 2 } });
    expect(evaluated({ metric: { type: "difference", answer: 0, baseline: 1 } }).value).toBe(-1);
    expect(evaluated({ metric: { type: "logit" } }).value).toBe(4);
  });

  it("adds up the log-probabilities of a span, and reads the places of it and of the token that is looked at", () => {
    const [first, second] = [logprob([0, 1, 2, 4], 3), logprob([1, 1, 5, 1], 1)];
    expect(evaluated({ metric: { type: "logprob", to: 2 } }).value).toBeCloseTo(first + second, 6);
    expect(evaluated({ metric: { type: "logprob", from: 1, to: 2 } }).value).toBeCloseTo(second, 6);
    expect(placesRead(asked({ position: 2, metric: { type: "logprob", to: 1 } }), answer)).toEqual([0, 2]);
    expect(placesRead(asked({ position: 2 }), answer)).toEqual([2]);
  });

  it.each([
    ["place_unknown", { position: 3 }],
    ["place_unknown", { metric: { type: "logprob", to: 4 } }],
    ["invalid_request", { metric: { type: "logprob", from: 2, to: 2 } }],
    ["token_unknown", { metric: { type: "difference", baseline: 4 } }],
    ["invalid_request", { metric: { type: "difference", baseline: 3 } }],
    ["feature_not_found", { measure: [8, 9] }],
  ] as const)("refuses what has no meaning: %s %j", (code, more) => {
    const request = asked(more as Partial<AttributionRequestInput>);
    expect(() => checkAttribution(request, answer, { vocabulary: 4, numLatents: 9 })).toThrow(expect.objectContaining({ code }));
  });
});

describe("Spearman's rank correlation", () => {
  it("is 1 for one order, -1 for the other, shares ranks where values are equal, and is none where there is no order", () => {
    expect(rankCorrelation([1, 2, 30], [0, 5, 6])).toBe(1);
    expect(rankCorrelation([1, 2, 30], [9, 5, -6])).toBe(-1);
    // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
    expect(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(22.5), 12);
    expect(rankCorrelation([1, 2], [1, 2])).toBeNull();
    expect(rankCorrelation([1, 1, 1], [1, 2, 3])).toBeNull();
  });
});
