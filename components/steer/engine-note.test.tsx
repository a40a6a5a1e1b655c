// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { Dictionary } from "@/lib/core/records";
import { EngineNote, useDictionaries } from "./engine-note";

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const dictionary: Dictionary = {
  ref: "toy/model.layers.1",
  model: { id: "toy", name: "Toy", sha256: "a".repeat(64), imageSize: 96, grid: { rows: 12, cols: 12 } },
  id: "model.layers.1",
  hook: "model.layers.1",
  layer: 1,
  sha256: "b".repeat(64),
  version: "b".repeat(64),
  versions: ["b".repeat(64)],
  numLatents: 300,
  width: 8,
  activation: "topk",
  k: 4,
  metrics: { explainedVariance: null, fvu: null, l0: null, deadShare: null, lossRecovered: null },
  counts: { features: 300, alive: 300, explained: 0, scored: 0, images: 0 },
  engine: "unreachable",
  examples: [],
  importedAt: "2026-01-01T00:00:00.000Z",
  attribution: null,
};

function Note({ known }: { known: Dictionary[] }) {
  const [one] = useDictionaries(known, dictionary.ref);
  return <EngineNote dictionary={one} blocked={null} />;
}

it("says that a worker is away and what to do, and takes that back by itself when it answers again", async () => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const engines: Dictionary["engine"][] = ["unreachable", "ready"];
  const asked = vi.fn(async () => Response.json({ items: [{ ...dictionary, engine: engines.shift() }] }));
  vi.stubGlobal("fetch", asked);
  render(
    <QueryClientProvider client={new QueryClient()}>
      <Note known={[dictionary]} />
    </QueryClientProvider>,
  );
  const note = () => screen.queryByText(/Engine not reachable: the worker that is to run Toy does not answer now\. Start it again/);
  expect(note()).not.toBeNull();
  await act(() => vi.advanceTimersByTimeAsync(10_500));
  await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(1));
  expect(note()).not.toBeNull();
  await act(() => vi.advanceTimersByTimeAsync(10_500));
  await vi.waitFor(() => expect(note()).toBeNull());
  await act(() => vi.advanceTimersByTimeAsync(60_000));
  expect(asked).toHaveBeenCalledTimes(2);
});

it("says nothing of an engine that is there", () => {
  const { container } = render(<EngineNote dictionary={{ ...dictionary, engine: "ready" }} blocked={null} />);
  expect(container.textContent).toBe("");
});
