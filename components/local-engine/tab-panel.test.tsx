// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, render, screen } from "@testing-library/react";
import { afterEach, expect, it, vi } from "vitest";
import type { EnginePackage } from "@/lib/core/engine-package";
import type { InTab } from "./in-tab";
import { TabPanel } from "./tab-panel";

let state: InTab = { status: "idle" };
let busy = false;
vi.mock("./in-tab", () => ({
  useInTab: () => state,
  useInTabBusy: () => busy,
  likelyProvider: async () => "wasm",
  stopLoading() {},
  freeAll() {},
  loadInTab() {},
}));

const file = { path: "x", bytes: 15_000_000, sha256: "0".repeat(64) };
const runtime = { module: file, wasm: file };
const pack: EnginePackage = {
  dictionary: "m/one",
  sha256: "1".repeat(64),
  manifest: "{}",
  files: [file],
  tensors: {},
  runtime: { wasm: runtime, webgpu: runtime },
};
const client = new QueryClient();
const page = () => (
  <QueryClientProvider client={client}>
    <TabPanel pack={pack}>It runs here.</TabPanel>
  </QueryClientProvider>
);
const loading = { status: "loading", loaded: 3_000_000, total: 30_000_000, starting: false, waiting: false } as const;
const text = () => screen.getByRole("region", { name: "The model in this tab" }).textContent;
const hide = (hidden: boolean) =>
  act(() => {
    vi.spyOn(document, "hidden", "get").mockReturnValue(hidden);
    document.dispatchEvent(new Event("visibilitychange"));
  });

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  Reflect.deleteProperty(navigator, "deviceMemory");
});

it("says that another tab fetches the model, and of a tab that was in the background what that does, also when it is back", () => {
  state = loading;
  const { rerender } = render(page());
  expect(text()).toContain("Fetching the model…");
  expect(text()).toContain("3.0 MB of 30 MB");
  state = { ...loading, waiting: true };
  rerender(page());
  expect(text()).toContain("Another tab of this browser is fetching the model; this one waits");
  expect(text()).not.toContain("background");
  hide(true);
  hide(false);
  expect(text()).toContain("In the background the browser may slow this down");
  state = { status: "ready", ref: "m/one", tab: { provider: "wasm", threads: 1, notes: ["One thread computes."] } };
  rerender(page());
  expect(text()).toMatch(/Runs here, on one thread\..*One thread computes\./);
  expect(text()).not.toContain("background");
  // The same of a run that was left alone, until it has ended.
  busy = true;
  rerender(page());
  hide(true);
  hide(false);
  expect(text()).toContain("keep this tab in front until the answer is.");
  busy = false;
  rerender(page());
  expect(text()).not.toContain("background");
});

it("warns before the model is fetched where the device says that its memory is small", () => {
  state = { status: "idle" };
  const { rerender } = render(page());
  expect(text()).not.toContain("memory");
  Object.defineProperty(navigator, "deviceMemory", { value: 0.25, configurable: true });
  rerender(page());
  expect(text()).toContain("This device has about 0.25 GB of memory and the model takes about 260 MB of it");
});
