import { describe, expect, it } from "vitest";
import type { Dictionary, FeatureCard } from "@/lib/core/records";
import { pickHighlights, pickSearches } from "./home";

const card = (index: number, change: Partial<FeatureCard>): FeatureCard => ({
  index,
  label: `label ${index}`,
  concept: "object",
  density: 1 / 240,
  textDensity: 0,
  maxActivation: 5,
  meanActivation: 2.5,
  imageShare: 1,
  iou: null,
  steer: null,
  clip: null,
  consistency: null,
  detection: null,
  fuzzing: null,
  dead: false,
  alwaysOn: false,
  sink: false,
  images: index,
  top: [{ image: "0".repeat(64), rows: 1, cols: 1, peak: 1, mean: 1, map: { p: "", v: "" } }],
  text: null,
  match: null,
  ...change,
});

const dictionary = (examples: FeatureCard[], change: Partial<Dictionary> = {}) =>
  ({ ref: "m/d", engine: "ready", examples, ...change }) as Dictionary;

describe("highlights", () => {
  it("are three different features, each with its reason", () => {
    const found = pickHighlights([
      dictionary([
        card(1, { iou: 0.93, steer: 0.99 }),
        card(2, { iou: 0.5, steer: 0.97 }),
        card(3, { iou: 0.4, steer: 0.2, concept: "emotion" }),
        card(4, { iou: 0.9 }),
      ]),
    ]);
    expect(found.map(({ card, reason }) => [card.index, reason])).toEqual([
      [1, "Its heat covers what the label names, and little else: IoU .93, where 1 is exact."],
      [2, "Turn it up and the model says its name in 97 % of the trials."],
      [3, "Not a thing but an emotion: active on 1 in 240 image tokens."],
    ]);
  });

  it("prefer a dictionary whose model runs here", () => {
    const found = pickHighlights([dictionary([card(1, { iou: 0.99 })], { engine: "none" }), dictionary([card(2, { iou: 0.7 })])]);
    expect(found[0]?.card.index).toBe(2);
  });

  it("do without scores, pictures or dictionaries", () => {
    expect(
      pickHighlights([dictionary([card(1, {}), card(2, {}), card(3, { top: [] }), card(4, { label: null })])]).map(
        ({ card }) => card.index,
      ),
    ).toEqual([2, 1]);
    expect(pickHighlights([])).toEqual([]);
  });
});

it("searches are short and of different classes first", () => {
  const examples = [
    card(1, { label: "lemon" }),
    card(2, { label: "dog" }),
    card(3, { label: "sad", concept: "emotion" }),
    card(4, { label: "x".repeat(30), concept: "colour" }),
  ];
  expect(pickSearches(dictionary(examples))).toEqual(["lemon", "sad", "dog"]);
  expect(pickSearches(dictionary(examples), [], 1)).toEqual(["lemon"]);
  expect(pickSearches(dictionary(examples), [card(1, { label: "lemon" })])).toEqual(["dog", "sad", "lemon"]);
});
