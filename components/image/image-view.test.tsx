// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, render, screen } from "@testing-library/react";
import { NuqsTestingAdapter } from "nuqs/adapters/testing";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { analyseQueryOptions } from "@/lib/api/analyse";
import type { Analysis } from "@/lib/core/records";
import type { ImageDictionary } from "./image-dictionary";
import { ImageView } from "./image-view";

vi.mock("next/navigation", () => ({ usePathname: () => "/i/x", useSearchParams: () => new URLSearchParams() }));

beforeAll(() => {
  // jsdom has neither a colour scheme nor a canvas.
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
afterEach(cleanup);

const sha256 = "a".repeat(64);

function show(engine: ImageDictionary["engine"], source: Analysis["source"]) {
  const client = new QueryClient();
  const analysis: Analysis = { dictionary: "m/d", source, rows: 2, cols: 2, total: 0, features: [] };
  client.setQueryData(analyseQueryOptions({ dictionary: "m/d", image: { sha256 } }).queryKey, analysis);
  const dictionary: ImageDictionary = { ref: "m/d", id: "d", model: "M", numLatents: 8, engine, grid: { rows: 2, cols: 2 } };
  render(
    <NuqsTestingAdapter>
      <QueryClientProvider client={client}>
        <ImageView
          info={{ sha256, mime: "image/png", width: 4, height: 4, source: null, caption: "a lemon" }}
          stored={null}
          dictionary={dictionary}
          dictionaries={[dictionary]}
        />
      </QueryClientProvider>
    </NuqsTestingAdapter>,
  );
}

it("offers steering on the picture where an engine runs the dictionary, and else says why not", () => {
  show("ready", "engine");
  expect(screen.getByRole("link", { name: "Steer on this picture" }).getAttribute("href")).toContain(`image=${sha256}`);
  expect(screen.queryByRole("note")).toBeNull();
  cleanup();
  show("none", "catalogue");
  expect(screen.queryByRole("link", { name: /Steer/ })).toBeNull();
  expect(screen.getByRole("note").textContent).toMatch(/^No engine on this server runs this dictionary/);
});
