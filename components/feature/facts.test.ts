import { describe, expect, it } from "vitest";
import type { Explanation, FeatureDetail } from "@/lib/core/records";
import { againstRandom, facts, health, orderExplanations, rateOf, shareWords, summarise } from "./facts";

const explanation = (more: Partial<Explanation>): Explanation => ({
  id: 1,
  method: "causal",
  author: "m",
  text: "A lemon.",
  label: "a lemon",
  concept: "object",
  failure: null,
  prompt: null,
  createdAt: "2026-11-20T10:00:00Z",
  preferred: false,
  scores: [],
  ...more,
});

function detail(feature: Partial<FeatureDetail["feature"]>, explanations: Explanation[] = []): FeatureDetail {
  return {
    dictionary: { id: "model.layers.1", model: { name: "Facet Emoji" }, counts: { images: 4000 } } as FeatureDetail["dictionary"],
    feature: {
      index: 417,
      label: null,
      concept: null,
      density: 0.0042,
      textDensity: 0,
      maxActivation: 8.21,
      meanActivation: 2.5,
      imageShare: 0.93,
      iou: null,
      steer: null,
      clip: null,
      consistency: null,
      detection: null,
      fuzzing: null,
      dead: false,
      alwaysOn: false,
      sink: false,
      images: 120,
      top: [],
      ...feature,
    },
    meanActivation: 2.5,
    activeTokens: 2400,
    explanations,
    histogram: null,
    examples: { top: [], upper: [], middle: [], lower: [], random: [] },
    texts: [],
    neighbours: [],
    tokens: { writes: [], suppresses: [], reads: [] },
  };
}

describe("facts", () => {
  it("reads rates in words and shares", () => {
    expect(rateOf(0.0042, "image tokens")).toBe("1 in 238 image tokens (0.42\u00a0%)");
    expect(rateOf(0.8, "text tokens")).toBe("80\u00a0% of text tokens");
    expect(rateOf(0, "text tokens")).toBe("on no text token");
    expect(rateOf(null, "text tokens")).toBe("not measured on text tokens");
    expect(shareWords(0.93)).toBe("93\u00a0% on pictures, 7\u00a0% on text");
    expect([1, 0, null].map(shareWords)).toEqual(["on pictures only", "on text only", "it never fires"]);
  });
  it("states where it fires", () => {
    expect(facts(detail({})).flatMap((fact) => fact.lines)).toEqual([
      "1 in 238 image tokens (0.42\u00a0%)",
      "on no text token",
      "on 120 of 4,000 pictures",
      "2,400 image tokens in all",
      "93\u00a0% on pictures, 7\u00a0% on text",
      "8.21, mean 2.5 where active",
    ]);
  });
});

describe("health", () => {
  it("names every ailment with its number, and soundness otherwise", () => {
    expect(health(detail({})).map((entry) => entry.key)).toEqual(["sound"]);
    expect(health(detail({ dead: true, density: 0 }))[0]?.text).toContain("4,000 pictures");
    const both = health(detail({ alwaysOn: true, sink: true, density: 0.1, textDensity: 0.97 }));
    expect(both.map((entry) => entry.key)).toEqual(["always_on", "sink"]);
    expect(both[0]?.text).toBe("Active on 97\u00a0% of text tokens: it tells little about any one of them.");
  });
});

describe("a feature of which other tools' files say little", () => {
  it("over texts alone is told by its texts", () => {
    const overTexts = { density: null, textDensity: 0.01, imageShare: null, images: null };
    expect(facts(detail(overTexts)).find((fact) => fact.key === "share")?.lines).toEqual(["not measured"]);
    expect(facts(detail({ ...overTexts, dead: true })).find((fact) => fact.key === "share")?.lines).toEqual(["it never fires"]);
    expect(health(detail(overTexts))[0]?.text).toBe("Neither dead nor always on.");
    expect(health(detail({ ...overTexts, dead: true }))[0]?.text).not.toContain("pictures");
    expect(summarise(detail(overTexts)).description).toContain("1 in 100 text tokens");
  });
  it("without activations is not called sound", () => {
    const bare = detail({ density: null, textDensity: null, imageShare: null, images: null, maxActivation: null });
    expect(health(bare)).toMatchObject([{ key: "unmeasured", name: "Not measured" }]);
  });
});

describe("explanations and scores", () => {
  it("puts the preferred first and failures last", () => {
    const list = [
      explanation({ id: 1, text: null, failure: "Unparsable." }),
      explanation({ id: 2, createdAt: "2026-11-21T00:00:00Z" }),
      explanation({ id: 3, preferred: true }),
      explanation({ id: 4, createdAt: "2026-11-22T00:00:00Z" }),
    ];
    expect(orderExplanations(list).map((entry) => entry.id)).toEqual([3, 4, 2, 1]);
  });
  it("judges a score against random features", () => {
    expect(againstRandom({ value: 0.2, baseline: 0.19 })).toBe("level");
    expect(againstRandom({ value: 0.2, baseline: 0.05 })).toBe("above");
    expect(againstRandom({ value: 0.1, baseline: 0.5 })).toBe("below");
    expect(againstRandom({ value: null, baseline: 0.5 })).toBeNull();
  });
});

describe("summarise", () => {
  it("makes a title and a sentence for link previews", () => {
    expect(summarise(detail({ label: "a lemon" }, [explanation({ preferred: true })]))).toEqual({
      title: "a lemon · #417",
      description: "A lemon. Feature 417 of model.layers.1 in Facet Emoji. It fires on 1 in 238 image tokens (0.42\u00a0%).",
    });
    expect(summarise(detail({ dead: true })).title).toBe("dead feature · #417");
  });
});
