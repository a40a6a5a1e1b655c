// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import { histogramsQueryOptions } from "@/lib/api/histograms";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import type { Histograms, MetricKey } from "@/lib/core/records";
import { FilterPanel } from "./filter-panel";

beforeAll(() => {
  // jsdom measures nothing.
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
});
afterEach(cleanup);

/** The panel of a dictionary with these metrics. */
function panel(...measured: MetricKey[]) {
  const metrics = Object.fromEntries(measured.map((key) => [key, { edges: [0, 0.5, 1], counts: [2, 1], missing: 0 }]));
  const histograms: Histograms = { metrics, concepts: {}, flags: {} };
  const query = { ...emptyFeatureQuery, dictionary: "m/d" };
  const client = new QueryClient();
  client.setQueryData(histogramsQueryOptions("m/d").queryKey, histograms);
  render(
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <FilterPanel query={query} setQuery={() => {}} />
      </TooltipProvider>
    </QueryClientProvider>,
  );
}

const names = ["Density", "Text density", "Maximum"];
const shown = () => names.filter((name) => screen.queryByText(name));
const more = () => screen.queryByRole("button", { name: "More filters" });

it("hides the rarer metrics behind a press where there are others", () => {
  panel("density", "text_density", "max_activation");
  expect(shown()).toEqual(["Density"]);
  expect(more()).not.toBeNull();
});

it("shows them at once where they are all that was measured, as over texts", () => {
  panel("text_density", "max_activation");
  expect(shown().length).toBe(2);
  expect(more()).toBeNull();
});

it("offers no press that would show nothing", () => {
  panel();
  expect(shown()).toEqual([]);
  expect(more()).toBeNull();
});
