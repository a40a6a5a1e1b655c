// @vitest-environment jsdom
import { QueryClient } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { enginePackageQueryOptions, type FeatureNames, featureNamesQueryOptions } from "@/lib/api/engine";
import type { EnginePackage } from "@/lib/core/engine-package";
import type { FacetError } from "@/lib/core/errors";
import type { TabState } from "@/lib/engine/web/tab-wire";

/** Loads under way, by dictionary: they end when a test says so. */
const loads = new Map<string, { resolve(state: TabState): void; reject(error: FacetError): void }>();
let tell: (state: TabState) => void = () => {};
let work: (busy: boolean) => void = () => {};

vi.mock("@/lib/engine/web/tab-engine", () => ({
  TabEngine: class {
    state: TabState | null = null;
    constructor(onState: (state: TabState) => void, onBusy: (busy: boolean) => void) {
      tell = onState;
      work = onBusy;
    }
    holds = () => false;
    end() {}
    async load({ dictionary }: EnginePackage) {
      this.state = await new Promise<TabState>((resolve, reject) => loads.set(dictionary, { resolve, reject }));
      return this.state;
    }
    async *generate(_request: unknown, units: Float32Array) {
      yield { type: "units", units };
    }
  },
}));

const file = { path: "x", bytes: 1, sha256: "0".repeat(64) };
const pack = (dictionary: string): EnginePackage => ({
  dictionary,
  sha256: "1".repeat(64),
  manifest: "{}",
  files: [],
  tensors: {},
  runtime: { wasm: { module: file, wasm: file }, webgpu: { module: file, wasm: file } },
});
const processor: TabState = { provider: "wasm", threads: 2, notes: [] };
const graphics: TabState = { provider: "webgpu", threads: 2, notes: [] };

let here: typeof import("./in-tab");
beforeEach(async () => {
  vi.resetModules();
  loads.clear();
  here = await import("./in-tab");
});
afterEach(cleanup);

const begun = (dictionary: string) => waitFor(() => expect(loads.has(dictionary)).toBe(true));

it("gives nobody the engine of a model that another has taken the place of, and says which runs", async () => {
  const { result } = renderHook(() => here.useInTab());
  const first = here.loadInTab(pack("m/one"));
  first.catch(() => {});
  await begun("m/one");
  const second = here.loadInTab(pack("m/two"));
  loads.get("m/one")?.resolve(processor);
  await expect(first).rejects.toMatchObject({ code: "cancelled" });
  expect(result.current.status).toBe("loading");
  await begun("m/two");
  loads.get("m/two")?.resolve(graphics);
  await second;
  await waitFor(() => expect(result.current).toEqual({ status: "ready", ref: "m/two", tab: graphics }));
  // The graphics device is lost: the panel says what computes from now on.
  tell(processor);
  await waitFor(() => expect(result.current).toEqual({ status: "ready", ref: "m/two", tab: processor }));
  const { result: busy } = renderHook(() => here.useInTabBusy());
  for (const works of [true, false]) {
    work(works);
    await waitFor(() => expect(busy.current).toBe(works));
  }
});

function clientWith(dictionary: string, names: Partial<FeatureNames> = {}): QueryClient {
  const client = new QueryClient();
  client.setQueryData(enginePackageQueryOptions(dictionary).queryKey, pack(dictionary));
  client.setQueryData(featureNamesQueryOptions(dictionary).queryKey, { dictionary, sha256: "1".repeat(64), items: [], ...names });
  return client;
}
const request = { dictionary: "m/one", messages: [{ role: "user" as const, content: [{ type: "text" as const, text: "Hi" }] }] };

it("leaves a request that is stopped while the model loads, which goes on for the next", async () => {
  const { steerInTab } = await import("./steer-in-tab");
  const leaving = new AbortController();
  const stream = steerInTab(clientWith("m/one"), request, { signal: leaving.signal });
  const first = stream.next();
  first.catch(() => {});
  await begun("m/one");
  leaving.abort();
  await expect(first).rejects.toMatchObject({ code: "cancelled" });
  const next = here.loadInTab(pack("m/one"));
  loads.get("m/one")?.resolve(processor);
  await expect(next).resolves.toBeDefined();
});

it("takes the units of a dictionary of any size", async () => {
  const { unitsOf } = await import("./steer-in-tab");
  const items = Array.from({ length: 262_144 }, (_, index) => ({ index, maxActivation: index % 3 === 0 ? null : index / 2 }));
  const units = unitsOf({ dictionary: "m/one", sha256: "1".repeat(64), items } as unknown as FeatureNames);
  expect([units.length, units[3], units[262_142]]).toEqual([262_144, 0, 131_071]);
  expect(unitsOf({ dictionary: "m/one", sha256: "1".repeat(64), items: [] }).length).toBe(0);
});
