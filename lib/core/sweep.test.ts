import { describe, expect, it } from "vitest";
import { armSchema, eventSchema, generateRequestSchema } from "./protocol";
import { sweepPoints } from "./sweep";

const request = (more: object = {}) =>
  generateRequestSchema.parse({
    dictionary: "m/d",
    messages: [{ role: "user", content: [{ type: "text", text: "what ?" }] }],
    interventions: [
      { feature: 1, op: "set", value: 2 },
      { feature: 2, op: "ablate" },
      { feature: 1, op: "add", value: -1, scope: { type: "generated" } },
    ],
    ...more,
  });

describe("a sweep in a request", () => {
  it("is an arm a point, with every other clamp as it is", () => {
    const points = sweepPoints(request({ sweep: { clamp: 0, values: [-2, 0, 8] } }));
    expect(points.map(({ arm }) => arm)).toEqual(["sweep:0", "sweep:1", "sweep:2"]);
    expect(points.map(({ sweep }) => sweep)).toEqual([-2, 0, 8].map((value, point) => ({ point, clamp: 0, value })));
    for (const { arm, sweep, interventions } of points) {
      expect(armSchema.parse(arm)).toBe(arm);
      expect(interventions[0]).toMatchObject({ feature: 1, op: "set", value: sweep.value });
      expect(interventions.slice(1)).toEqual(request().interventions.slice(1));
    }
    expect(sweepPoints(request())).toEqual([]);
  });

  it("is refused where the clamp is not there, has no strength, or a value is none", () => {
    expect(() => sweepPoints(request({ sweep: { clamp: 3, values: [1] } }))).toThrow(/clamp 3 .* has 3/);
    expect(() => sweepPoints(request({ sweep: { clamp: 1, values: [1] } }))).toThrow(/no strength/);
    for (const values of [[], [Number.NaN], [1e9], Array.from({ length: 17 }, (_, i) => i)]) {
      expect(() => request({ sweep: { clamp: 0, values } })).toThrow();
    }
  });

  it("leaves requests and events of before as they were", () => {
    const plain = request();
    expect(Object.keys(plain)).not.toContain("sweep");
    const token = { type: "token", arm: "steered", i: 0, id: 1, text: "a", logprob: -1, alternatives: [] };
    expect(eventSchema.parse(token)).toEqual(token);
    expect(eventSchema.parse({ ...token, arm: "sweep:12" })).toMatchObject({ arm: "sweep:12" });
    for (const arm of ["sweep:", "sweep:123", "sweep:-1", "other"]) expect(() => eventSchema.parse({ ...token, arm })).toThrow();
  });
});
