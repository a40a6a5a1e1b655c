// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { dictionaryFacts } from "@/components/search/dictionary-head";
import type { FeatureDetail } from "@/lib/core/records";
import { Actions } from "./actions";

afterEach(cleanup);

const dictionary = (engine: "ready" | "none") =>
  ({
    ref: "gemma-2-2b/model.layers.12",
    sha256: "a".repeat(64),
    numLatents: 16_384,
    k: null,
    engine,
    metrics: { explainedVariance: null, deadShare: null },
    counts: { alive: 0, explained: 0, images: 0 },
  }) as unknown as FeatureDetail["dictionary"];
const detail = (engine: "ready" | "none") => ({ dictionary: dictionary(engine), feature: { index: 14 } }) as FeatureDetail;

it("offers steering where an engine runs the dictionary", () => {
  render(<Actions detail={detail("ready")} image={null} />);
  expect(screen.getByRole("link", { name: "Steer this" })).toBeDefined();
  expect(screen.queryByText(/No engine/)).toBeNull();
});

it("says that no engine runs an imported dictionary, and offers none", () => {
  render(<Actions detail={detail("none")} image={null} />);
  expect(screen.queryByRole("link", { name: "Steer this" })).toBeNull();
  expect(screen.getByText(/No engine on this server runs this dictionary/)).toBeDefined();
  expect(screen.getByRole("link", { name: "JSON" })).toBeDefined();
});

it("says so at the head of the dictionary's list", () => {
  const facts = (engine: "ready" | "none") => dictionaryFacts(dictionary(engine)).map(({ name, value }) => `${name}: ${value}`);
  expect(facts("none")).toContain("Engine: none, browse only");
  expect(facts("ready").join()).not.toContain("Engine");
});
