// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, it } from "vitest";
import type { FeatureCard as Card } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import { FeatureCard } from "./feature-card";

beforeAll(() => {
  // jsdom has neither a colour scheme nor a canvas.
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
});
afterEach(cleanup);

const card: Card = {
  index: 417,
  label: "a ripe lemon",
  concept: "object",
  density: 0.0042,
  textDensity: 0,
  maxActivation: 9,
  meanActivation: 2.5,
  imageShare: 1,
  iou: 0.714,
  steer: 0.9,
  clip: null,
  consistency: null,
  detection: null,
  fuzzing: null,
  dead: false,
  alwaysOn: false,
  sink: true,
  images: 12,
  top: [
    {
      image: "a".repeat(64),
      rows: 2,
      cols: 2,
      peak: 9,
      mean: 3,
      map: encodeMap({ positions: Uint16Array.from([1]), values: Float32Array.from([9]) }),
    },
  ],
  text: null,
  match: null,
};
const dictionary = { ref: "m/d", numLatents: 2048 };

it("is one link that carries the list it stands in", () => {
  render(<FeatureCard card={card} dictionary={dictionary} from="q=lemon&sort=-iou" heat />);
  const link = screen.getByRole("link", { name: "#0417 a ripe lemon" });
  const url = new URL(link.getAttribute("href") ?? "", "http://localhost");
  expect(url.pathname).toBe("/d/m/d/417");
  expect(url.searchParams.get("from")).toBe("q=lemon&sort=-iou");
});

it("leads to the sandbox where an engine runs its model, and nowhere where none does", () => {
  const { rerender } = render(<FeatureCard card={card} dictionary={{ ...dictionary, engine: "ready" }} heat />);
  const url = new URL(screen.getByRole("link", { name: "Steer with #0417 a ripe lemon" }).getAttribute("href") ?? "", "http://localhost");
  expect([url.pathname, url.searchParams.get("dictionary"), url.searchParams.get("feature")]).toEqual(["/steer", "m/d", "417"]);
  rerender(<FeatureCard card={card} dictionary={{ ...dictionary, engine: "none" }} heat />);
  expect(screen.queryByRole("link", { name: /^Steer/ })).toBeNull();
});

it("says its numbers and its health aloud", () => {
  render(<FeatureCard card={card} dictionary={dictionary} heat />);
  expect(screen.getByRole("img", { name: "density 0.42 %: active on 1 in 238 of the image tokens" })).toBeTruthy();
  expect(screen.getByRole("img", { name: "Sink" })).toBeTruthy();
  expect(screen.getByText(".71")).toBeTruthy();
  expect(screen.getByText("max 9")).toBeTruthy();
});

it("leads with what its list is sorted by, else with the first score that it has", () => {
  const { rerender } = render(<FeatureCard card={card} dictionary={dictionary} heat />);
  expect(screen.getByTitle(/^IoU \.71: intersection over union/)).toBeTruthy();
  rerender(<FeatureCard card={card} dictionary={dictionary} heat sort="steer" />);
  expect(screen.getByTitle(/^Steering effect \.90: how often clamping/).textContent).toContain(".90");
  expect(screen.queryByText(".71")).toBeNull();
  // What it lacks, and what it says anyway, leave its score.
  for (const sort of ["clip", "density", "relevance", "index"] as const) {
    rerender(<FeatureCard card={card} dictionary={dictionary} heat sort={sort} />);
    expect(screen.getByText(".71")).toBeTruthy();
  }
  rerender(<FeatureCard card={{ ...card, iou: null, steer: null, detection: 0.8 }} dictionary={dictionary} heat />);
  expect(screen.getByTitle(/^Detection \.80/)).toBeTruthy();
  rerender(<FeatureCard card={{ ...card, iou: null, steer: null }} dictionary={dictionary} heat />);
  expect(screen.queryByTitle(/^IoU/)).toBeNull();
});

it("marks why it was found, in the label or under it", () => {
  const { rerender } = render(
    <FeatureCard
      card={{ ...card, match: { kind: "words", highlight: "a ripe \uE000lemon\uE001" } }}
      dictionary={dictionary}
      heat
      searching
    />,
  );
  expect(screen.getByText("lemon").tagName).toBe("MARK");
  expect(screen.getByText("found by its words")).toBeTruthy();
  rerender(<FeatureCard card={{ ...card, match: { kind: "meaning", highlight: null } }} dictionary={dictionary} heat searching />);
  expect(screen.getByText("similar meaning")).toBeTruthy();
  rerender(
    <FeatureCard card={{ ...card, match: { kind: "typo", highlight: "sour \uE000fruit\uE001" } }} dictionary={dictionary} heat searching />,
  );
  expect(screen.getByText("fruit").tagName).toBe("MARK");
  expect(screen.getByText("a ripe lemon").tagName).not.toBe("MARK");
});

it("stays calm without label or pictures", () => {
  render(
    <FeatureCard card={{ ...card, label: null, concept: null, iou: null, density: 0, dead: true, top: [] }} dictionary={dictionary} heat />,
  );
  expect(screen.getByRole("link", { name: "#0417 never fires" })).toBeTruthy();
  expect(screen.getByText("fired on nothing")).toBeTruthy();
});

it("has no box for a picture in a list without any", () => {
  const plain = { ...card, label: null, density: null, textDensity: null, top: [] };
  const { rerender } = render(<FeatureCard card={plain} dictionary={dictionary} heat />);
  expect(screen.getByText("no pictures")).toBeTruthy();
  rerender(<FeatureCard card={plain} dictionary={dictionary} heat bare />);
  expect(screen.queryByText("no pictures")).toBeNull();
  expect(screen.getByRole("link")).toBeTruthy();
});

it("shows the words around its peak where it has no picture, and its share of text tokens", () => {
  const map = encodeMap({ positions: Uint16Array.from([1]), values: Float32Array.from([4]) });
  const text = { tokens: ["the", " cat", "\n", " sat"], image: null, peak: 4, map };
  render(<FeatureCard card={{ ...card, density: null, textDensity: 0.01, top: [], text }} dictionary={dictionary} heat />);
  expect(screen.getByText("cat").style.background).not.toBe("");
  expect(screen.getByText("sat").style.background).toBe("");
  expect(screen.getByText("↵")).toBeTruthy();
  expect(screen.getByLabelText(/of the text tokens/)).toBeTruthy();
});
