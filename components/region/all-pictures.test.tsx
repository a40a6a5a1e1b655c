// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import type { AnalyseRequest } from "@/lib/core/protocol";
import { emptyRegion, encodeRegion, paintShape } from "@/lib/core/region";
import { encodeMap } from "@/lib/core/sparse-map";

const looked = vi.hoisted(() => [] as string[]);
/** The model stays at a picture while this is there. */
const gate = vi.hoisted(() => ({ closed: null as Promise<void> | null }));
vi.mock("@/lib/engine/web/tab-engine", () => ({
  TabEngine: class {
    state = { provider: "wasm", threads: 1, notes: [] };
    holds = () => true;
    end() {}
    load = async () => this.state;
    async features({ image }: AnalyseRequest) {
      const { sha256 } = image as { sha256: string };
      looked.push(sha256);
      await gate.closed;
      return { rows: 1, cols: 2, total: 1, features: [{ index: 7, mean: 1, peak: 2, map: mapOf(sha256) }] };
    }
  },
}));

const hash = (digit: number) => String(digit).repeat(64);
/** Of picture `n` feature 7 is n on the left and 9 − n on the right. */
const mapOf = (sha256: string) => ({ positions: Uint16Array.of(0, 1), values: Float32Array.of(Number(sha256[0]), 9 - Number(sha256[0])) });
const file = { path: "x", bytes: 1, sha256: hash(0) };
const pack = {
  dictionary: "m/d",
  sha256: hash(1),
  manifest: "{}",
  files: [file],
  tensors: {},
  runtime: { wasm: { module: file, wasm: file }, webgpu: { module: file, wasm: file } },
};
const record = {
  ref: "m/d",
  model: { id: "m", name: "M", sha256: hash(2), imageSize: 96, grid: { rows: 1, cols: 2 } },
  id: "d",
  hook: "d",
  layer: 0,
  sha256: hash(1),
  version: hash(1),
  versions: [hash(1)],
  numLatents: 9,
  width: 2,
  activation: "topk",
  k: 1,
  metrics: { explainedVariance: null, fvu: null, l0: null, deadShare: null, lossRecovered: null },
  counts: { features: 9, alive: 9, explained: 0, scored: 0, images: 3 },
  engine: "ready",
  examples: [],
  importedAt: "2026-01-01T00:00:00.000Z",
  attribution: null,
};
const info = (digit: number) => ({
  sha256: hash(digit),
  width: 8,
  height: 8,
  mime: "image/webp",
  source: null,
  caption: `picture ${digit}`,
});
const box = (left: number) => paintShape(emptyRegion(1, 2), { kind: "box", from: { x: left, y: 0 }, to: { x: left + 1, y: 1 } });

/** Method, address and body of all that was asked. */
let asked: string[];
let engine: "ready" | "none";
let offered: typeof pack | null;
/** What the server's engine says instead, by turns. */
let refusals: Record<string, string[]>;
beforeAll(() => {
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
beforeEach(() => {
  vi.resetModules();
  asked = [];
  looked.length = 0;
  engine = "ready";
  offered = pack;
  refusals = {};
  vi.stubGlobal("fetch", async (address: string, init: RequestInit = {}) => {
    const { pathname, searchParams } = new URL(address, "http://localhost");
    asked.push(`${init.method ?? "GET"} ${address} ${init.body ?? ""}`);
    if (pathname === "/api/dictionaries") return Response.json({ items: [{ ...record, engine }] });
    if (pathname === "/api/engine") return Response.json(offered);
    if (pathname === "/api/engine/names") return Response.json({ dictionary: "m/d", sha256: hash(1), items: [] });
    if (pathname === "/api/images") {
      // Two pages.
      return searchParams.get("cursor")
        ? Response.json({ items: [info(5)], next: null })
        : Response.json({ items: [info(3), info(4)], next: "2" });
    }
    if (pathname.startsWith("/api/images/")) return new Response(new Uint8Array([1]));
    const { image } = JSON.parse(String(init.body)) as { image: { sha256: string } };
    const code = refusals[image.sha256]?.shift();
    if (code) return Response.json({ error: { code, message: `It was ${code}.`, fix: "Wait.", retry: true } }, { status: 503 });
    const map = encodeMap(mapOf(image.sha256));
    const name = { label: null, concept: null, density: null, alwaysOn: false, sink: false, maxActivation: 9 };
    const features = [{ index: 7, ...name, mean: 1, peak: 2, map }];
    return Response.json({ dictionary: "m/d", source: "engine", rows: 1, cols: 2, total: 600, features });
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

async function open(more: { discreet?: boolean; panelled?: boolean } = {}) {
  const { AllPictures } = await import("./all-pictures");
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  const page = (left: number | null) => (
    <QueryClientProvider client={client}>
      <AllPictures
        dictionary="m/d"
        region={left === null ? null : box(left)}
        code={left === null ? "" : encodeRegion(box(left))}
        features={features}
        maximumOf={maximumOf}
        without={hash(5)}
        {...more}
      />
    </QueryClientProvider>
  );
  const { rerender, unmount } = render(page(0));
  return { paint: (left: number | null) => rerender(page(left)), unmount };
}
const features = [7];
const maximumOf = () => 9;
const found = () => screen.getAllByRole("link").map((link) => link.getAttribute("aria-label"));
const start = async () => fireEvent.click(await screen.findByRole("button", { name: "Look through all pictures" }));

it("looks through all pictures in the tab and tells nobody what is sought; another region asks the model nothing", async () => {
  const { paint, unmount } = await open({ discreet: true, panelled: true });
  await start();
  await screen.findByText("All pictures were looked through.");
  expect(screen.queryByRole("radio"), "a place to run beside the tab").toBeNull();
  expect(screen.getByText(/^3 of 3 pictures looked through/)).toBeTruthy();
  expect(found()).toEqual(["picture 4: 1 of 1 feature, .44 of their maxima", "picture 3: 1 of 1 feature, .33 of their maxima"]);
  expect(screen.getByText("On 2 of them the feature fires there, by how strongly it fires.")).toBeTruthy();
  const paths = asked.map((one) => one.replace(/[0-9]{64}/, "…").trim());
  expect(new Set(paths)).toEqual(
    new Set([
      "GET /api/dictionaries",
      "GET /api/engine?dictionary=m%2Fd",
      "GET /api/engine/names?dictionary=m%2Fd",
      "GET /api/images?limit=1000",
      "GET /api/images?limit=1000&cursor=2",
      "GET /api/images/…",
    ]),
  );
  const [model, server] = [looked.length, asked.length];
  expect(model).toBe(3);
  paint(1);
  await waitFor(() =>
    expect(found()).toEqual(["picture 3: 1 of 1 feature, .67 of their maxima", "picture 4: 1 of 1 feature, .56 of their maxima"]),
  );
  paint(null);
  await waitFor(() => expect(screen.queryByRole("link")).toBeNull());
  unmount();
  // The next page of the session has it without being asked.
  await open({ discreet: true, panelled: true });
  await screen.findByText(/^3 of 3 pictures looked through/);
  expect(found()).toHaveLength(2);
  expect([looked.length, asked.slice(server).filter((one) => one.includes("/api/images/"))]).toEqual([model, []]);
});

it("goes on in the background and says so, and ends within one picture when the page is left", async () => {
  let release = () => {};
  gate.closed = new Promise((resolve) => (release = resolve));
  const { unmount } = await open({ panelled: true });
  await start();
  await screen.findByText("Looking…");
  await waitFor(() => expect(looked).toHaveLength(1));
  const hidden = vi.spyOn(document, "hidden", "get").mockReturnValue(true);
  fireEvent(document, new Event("visibilitychange"));
  expect(screen.getByText("In the background this goes on, but the browser may slow it down.")).toBeTruthy();
  hidden.mockRestore();
  unmount();
  release();
  gate.closed = null;
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(looked).toHaveLength(1);
  // What was in hand is kept.
  await open({ panelled: true });
  await screen.findByText(/^1 of 3 pictures looked through/);
  expect(screen.getByRole("button", { name: "Resume" })).toBeTruthy();
});

it("asks the server's engine where no model is offered, waits while it is busy, and counts a picture that fails with its cause", async () => {
  offered = null;
  refusals = { [hash(3)]: ["engine_busy", "unreadable_image"] };
  await open();
  await start();
  await screen.findByText("The engine is busy with others: this waits and goes on.");
  await screen.findByText("Every picture was tried.", undefined, { timeout: 5_000 });
  expect(screen.getByText(/^2 of 3 pictures looked through.* · failed: 1, the first: It was unreadable_image\.$/)).toBeTruthy();
  expect(screen.getByText(/^On 2 pictures more features fired than the 512/)).toBeTruthy();
  const posts = asked.filter((one) => one.startsWith("POST"));
  expect(posts).toHaveLength(4);
  expect(posts.every((one) => /^POST \/api\/analyse \{"dictionary":"m\/d","image":\{"sha256":"[345]{64}"\},"limit":512\}$/.test(one))).toBe(
    true,
  );
  fireEvent.click(screen.getByRole("button", { name: "Try the one that failed again" }));
  await screen.findByText("All pictures were looked through.");
});

it("says so where no engine is", async () => {
  offered = null;
  engine = "none";
  await open();
  await screen.findByText(/^No engine for this dictionary is here/);
  expect(screen.queryByRole("button")).toBeNull();
});
