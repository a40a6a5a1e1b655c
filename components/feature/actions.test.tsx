// @vitest-environment jsdom
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it } from "vitest";
import { dictionaryFacts } from "@/components/search/dictionary-head";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { FeatureDetail } from "@/lib/core/records";
import { Actions } from "./actions";
import { Neighbours } from "./neighbours";
import { OlderVersion } from "./older-version";

afterEach(cleanup);

const dictionary = (engine: "ready" | "unreachable" | "none") =>
  ({
    ref: "gemma-2-2b/model.layers.12",
    sha256: "a".repeat(64),
    version: "b".repeat(64),
    versions: ["b".repeat(64)],
    numLatents: 16_384,
    k: null,
    engine,
    metrics: { explainedVariance: null, deadShare: null },
    counts: { alive: 0, explained: 0, images: 0 },
  }) as unknown as FeatureDetail["dictionary"];
const detail = (engine: "ready" | "unreachable" | "none") => ({ dictionary: dictionary(engine), feature: { index: 14 } }) as FeatureDetail;

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

it("says that a worker is away, and still leads to the sandbox, which notices when it is back", () => {
  render(<Actions detail={detail("unreachable")} image={null} />);
  expect(screen.getByRole("link", { name: "Steer this" })).toBeDefined();
  expect(screen.getByText(/Engine not reachable: the worker that is to run this dictionary does not answer now/)).toBeDefined();
});

it("pins the version, and says on an older one's page that there is a later", () => {
  const { container, rerender } = render(<Actions detail={detail("none")} image={null} />);
  expect(screen.getByRole("link", { name: "JSON" }).getAttribute("href")).toContain(`v=${"b".repeat(12)}`);
  rerender(<OlderVersion detail={detail("none")} pinned={"b".repeat(12)} />);
  expect(container.textContent).toBe("");
  const older = detail("none");
  rerender(
    <OlderVersion detail={{ ...older, dictionary: { ...older.dictionary, versions: ["c".repeat(64), "b".repeat(64)] } }} pinned={null} />,
  );
  expect(screen.getByRole("note").textContent).toContain("pinned to bbbbbbbbbbbb, an older version");
  expect(screen.getByRole("link", { name: "Open #14 of the latest" }).getAttribute("href")).toBe("/d/gemma-2-2b/model.layers.12/14");
});

it("says that the content which a link names by the weights' hash has gone", () => {
  render(<OlderVersion detail={detail("none")} pinned={"a".repeat(12)} />);
  expect(screen.getByRole("note").textContent).toBe(
    "This link is pinned to aaaaaaaaaaaa, which this catalogue no longer has. " +
      "This is bbbbbbbbbbbb: the same weights with other examples, explanations or scores. ",
  );
  expect(screen.queryByRole("link")).toBeNull();
});

it("names the older versions at the head of the dictionary's list", () => {
  const versions = ["b", "c", "d", "e", "f"].map((digit) => digit.repeat(64));
  const fact = (changed: object) => dictionaryFacts({ ...dictionary("none"), ...changed }).find(({ name }) => name === "Older versions");
  expect(fact({})).toBeUndefined();
  const { container } = render(<p>{fact({ versions })?.value}</p>);
  expect(container.textContent).toBe("cccccccccccc, dddddddddddd, eeeeeeeeeeee and 1 more");
  expect(screen.getAllByRole("link")[0]?.getAttribute("href")).toBe(`/d/gemma-2-2b/model.layers.12?v=${"c".repeat(12)}`);
});

it("says so at the head of the dictionary's list", () => {
  const facts = (engine: "ready" | "none") => dictionaryFacts(dictionary(engine)).map(({ name, value }) => `${name}: ${value}`);
  expect(facts("none")).toContain("Engine: none, browse only");
  expect(facts("ready").join()).not.toContain("Engine");
});

it("counts pictures where features were measured on some, and draws no empty frames of neighbours", () => {
  const images = (count: number) =>
    dictionaryFacts({ ...dictionary("none"), counts: { features: 0, alive: 0, explained: 0, scored: 0, images: count } }).find(
      ({ name }) => name === "Images",
    )?.value;
  expect(images(0)).toBeUndefined();
  expect(images(4_200)).toBe("4,200");
  const neighbours = [{ kind: "decoder", index: 3, value: 0.5, label: null, top: null }];
  const { container } = render(
    <TooltipProvider>
      <Neighbours detail={{ ...detail("none"), neighbours } as unknown as FeatureDetail} hrefOf={(i) => `#${i}`} />
    </TooltipProvider>,
  );
  expect(screen.getByRole("link").textContent).toContain("unexplained");
  expect(container.querySelector(".size-12")).toBeNull();
});
