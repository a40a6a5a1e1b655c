// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, fireEvent, render, screen, waitFor } from "@testing-library/react";
import { afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { EnginePackage } from "@/lib/core/engine-package";
import { FacetError } from "@/lib/core/errors";
import type { PromptFeaturesRequest } from "@/lib/core/prompt-features";
import type { AnalyseRequest } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { ExamplesBeside } from "./examples-beside";
import { PicturePlace } from "./picture-place";
import { readTry, writeTry } from "./try-address";

vi.mock("next/navigation", () => ({ useSearchParams: () => new URLSearchParams(), useRouter: () => ({}) }));

const engine = vi.hoisted(() => ({
  /** A load ends by itself. */
  loads: true,
  looked: [] as string[],
  read: [] as PromptFeaturesRequest["messages"][],
}));
vi.mock("@/lib/engine/web/tab-engine", () => ({
  TabEngine: class {
    state: object | null = null;
    holds = () => this.state !== null;
    end() {}
    async load(_pack: EnginePackage, { signal }: { signal: AbortSignal }) {
      if (!engine.loads) {
        await new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(new FacetError("cancelled", "The download was stopped."))),
        );
      }
      this.state = { provider: "wasm", threads: 1, notes: [] };
      return this.state;
    }
    async features({ image }: AnalyseRequest) {
      if ("sha256" in image) engine.looked.push(image.sha256.slice(0, 2));
      const map = { positions: Uint16Array.of(1), values: Float32Array.of(2) };
      return { rows: 2, cols: 2, total: 1, features: [{ index: 3, mean: 0.5, peak: 2, map }] };
    }
    seen = async () => ({ size: 1, data: new Uint8Array(3) });
    async words({ messages }: PromptFeaturesRequest) {
      engine.read.push(messages);
      const map = { positions: Uint16Array.of(0), values: Float32Array.of(2) };
      const positions = ["is", "there"].map((text) => ({ kind: "text", text, cell: null }));
      return { positions, images: [], unknown: [], features: [{ index: 3, mean: 1, peak: 2, map }] };
    }
  },
}));

const file = { path: "x", bytes: 1, sha256: "0".repeat(64) };
const dictionary = {
  ref: "m/one",
  sha256: "1".repeat(64),
  model: { id: "m", name: "M" },
  id: "one",
  numLatents: 9,
} as unknown as Dictionary;
const pack = {
  dictionary: "m/one",
  sha256: "1".repeat(64),
  manifest: "{}",
  files: [file],
  tensors: {},
  runtime: { wasm: { module: file, wasm: file }, webgpu: { module: file, wasm: file } },
};
const [one, two] = ["a".repeat(64), "b".repeat(64)];
const name = { label: "a lemon", concept: null, density: 0.1, alwaysOn: false, sink: false, maxActivation: 9, index: 3 };

let asked: string[];
beforeAll(() => {
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
  URL.createObjectURL = () => "blob:x";
  URL.revokeObjectURL = () => {};
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
beforeEach(() => {
  Object.assign(engine, { loads: true, looked: [], read: [] });
  asked = [];
  vi.resetModules();
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  history.replaceState(null, "", "/");
});

function serve(answers: (path: string) => Response | undefined) {
  vi.stubGlobal("fetch", async (address: string | URL) => {
    const { pathname } = new URL(address, "http://localhost");
    asked.push(String(address));
    const missing = { error: { code: "internal", message: "Broken.", fix: "Wait.", retry: false } };
    return answers(pathname) ?? Response.json(missing, { status: 500 });
  });
}
const catalogue = (path: string) => {
  if (path === "/api/engine") return Response.json(pack);
  if (path === "/api/engine/names") return Response.json({ dictionary: "m/one", sha256: "1".repeat(64), items: [name] });
  if (path.startsWith("/api/images/") && !path.endsWith("/info")) return new Response(new Uint8Array([1]));
};
const show = (children: React.ReactNode) =>
  render(
    <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
      <TooltipProvider>{children}</TooltipProvider>
    </QueryClientProvider>,
  );
/** The page as it is opened: nothing of an earlier one is in memory. */
async function openPage(address = "/try") {
  history.replaceState(null, "", address);
  serve(catalogue);
  const { OwnImageView } = await import("./own-image-view");
  return show(<OwnImageView dictionary={dictionary} />);
}
const mode = () =>
  screen.getByRole("radiogroup", { name: "What to do with the picture" }).querySelector("[aria-checked=true]")?.textContent;
const back = () =>
  act(async () => {
    const gone = new Promise((done) => window.addEventListener("popstate", done, { once: true }));
    history.back();
    await gone;
  });
const bytes = new Uint8Array([1, 2, 3]);
/** This page's files cannot be read. */
const ownFile = () => Object.assign(new File([bytes], "own.png", { type: "image/png" }), { arrayBuffer: async () => bytes.buffer });

it("says that the model's load was stopped, in place of looking for ever", async () => {
  engine.loads = false;
  await openPage();
  await screen.findByRole("button", { name: "Load the model" });
  fireEvent.change(screen.getByLabelText("Your picture: the file"), { target: { files: [ownFile()] } });
  await screen.findByText("Looked at as soon as the model is here.");
  fireEvent.click(await screen.findByRole("button", { name: "Stop" }));
  await screen.findByText("The download was stopped.");
  expect(screen.queryByText(/^Look(ing|ed at)/)).toBeNull();
  // A load that a person begins again is waited for, and then the picture is looked at.
  engine.loads = true;
  fireEvent.click(screen.getByRole("button", { name: "Load the model" }));
  await screen.findByText("1 feature fires", { exact: false });
  expect(engine.looked).toEqual(["03"]);
});

it("keeps what is shown in the address, but no picture of one's own: it comes back by a reload and by Back", async () => {
  await openPage(`/try?dictionary=m%2Fone#picture=${one}&rank=max`);
  await screen.findByText("1 feature fires", { exact: false });
  expect([mode(), engine.looked]).toEqual(["Look", ["aa"]]);
  expect(screen.getByRole("radio", { name: "Strongest" }).getAttribute("aria-checked")).toBe("true");
  fireEvent.click(screen.getByRole("radio", { name: "Compare" }));
  expect(location.hash).toBe(`#picture=${one}&rank=max&mode=compare`);
  // A second picture of the catalogue is in the address; one of one's own takes its place there away.
  fireEvent.change(screen.getByLabelText("The second picture: the file"), { target: { files: [ownFile()] } });
  await screen.findByRole("region", { name: "On both" });
  expect(location.hash).toBe(`#picture=${one}&rank=max&mode=compare`);
  act(() => {
    history.pushState(null, "", `#picture=${one}&mode=compare&second=${two}&by=peak`);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  });
  await waitFor(() => expect(engine.looked.at(-1)).toBe("bb"));
  fireEvent.change(screen.getByLabelText("Your picture: the file"), { target: { files: [ownFile()] } });
  await waitFor(() => expect(location.hash).toBe(`#mode=compare&second=${two}&by=peak`));
  await back();
  expect(location.hash).toBe(`#picture=${one}&mode=compare&second=${two}&by=peak`);
  await back();
  await back();
  expect([mode(), location.hash]).toEqual(["Look", `#picture=${one}&rank=max`]);
  cleanup();

  vi.resetModules();
  engine.looked.length = 0;
  await openPage(`/try#picture=${one}&mode=compare&second=${two}&by=peak`);
  await screen.findByRole("region", { name: "On both" });
  expect(screen.getByRole("radio", { name: "Strongest" }).getAttribute("aria-checked")).toBe("true");
  expect(engine.looked.toSorted()).toEqual(["aa", "bb"]);
  expect(
    asked.filter((address) => address.includes("mode") || address.includes("by=")),
    "told to the server",
  ).toEqual([]);
});

it("reads words without a picture, which the model is given no sign of, and keeps them in the address", async () => {
  await openPage();
  await screen.findByRole("button", { name: "Load the model" });
  fireEvent.click(screen.getByRole("radio", { name: "Words too" }));
  expect(engine.read).toEqual([]);
  fireEvent.change(screen.getByRole("textbox", { name: "Words" }), { target: { value: "is there" } });
  fireEvent.click(screen.getByRole("button", { name: "Read" }));
  await screen.findByRole("button", { name: "there: nothing fires" });
  expect(engine.read).toEqual([[{ role: "user", content: [{ type: "text", text: "is there" }] }]]);
  expect(location.hash).toBe("#mode=words&words=is+there");
  expect(screen.queryByRole("application"), "a picture to paint on").toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "is: a lemon 2" }), { detail: 0 });
  expect(screen.getByText(/^1 token chosen: 1 feature of 1 fires more there than on the rest of the 2 positions/)).toBeTruthy();
  expect(asked.filter((address) => /there/.test(address))).toEqual([]);
  cleanup();
  // A reload reads them again, with the picture that the address may have by then.
  vi.resetModules();
  await openPage(`/try#mode=words&words=is+there&picture=${one}`);
  await waitFor(() => expect(engine.read).toHaveLength(2));
  expect(engine.read[1]?.[0]?.content[0]).toEqual({ type: "image", image: { sha256: one } });
});

it("takes what an address says wrongly for unsaid, and writes nothing that is usual", () => {
  const usual = { mode: "look", picture: null, second: null, ranking: "rarity", measure: "mean", words: null, region: null };
  expect(readTry("")).toEqual(usual);
  expect(readTry("#mode=fly&picture=ABC&second=../x&rank=1&by=&words=")).toEqual(usual);
  expect(readTry("#region=2x2.1.3")).toEqual({ ...usual, mode: "paint", region: "2x2.1.3" });
  expect(writeTry({ mode: "look", ranking: "max", picture: null })).toEqual({ mode: null, rank: "max", picture: null });
});

it("does not say of examples that did not arrive that there are none", async () => {
  serve(() => undefined);
  show(<ExamplesBeside dictionary="m/one" index={3} />);
  await screen.findByText(/examples did not arrive/);
  expect(screen.queryByText(/has no pictures/)).toBeNull();
  expect(screen.getByRole("link", { name: "Open feature #3" })).toBeTruthy();
});

it("takes a picture that is dropped or pasted, a second one into the free place, and no file of another server", async () => {
  const first = vi.fn();
  const second = vi.fn();
  const pages = (taken: Parameters<typeof PicturePlace>[0]["picture"]) => (
    <>
      <PicturePlace label="Your picture" picture={null} name={null} onPicture={first}>
        Drop one
      </PicturePlace>
      <PicturePlace label="The second picture" picture={taken} name="b.png" onPicture={second} second>
        Drop one
      </PicturePlace>
    </>
  );
  const { rerender } = render(pages(null));
  const [note, picture] = [new File(["x"], "notes.txt", { type: "text/plain" }), ownFile()];
  const drop = (name: string) => {
    const place = screen.getByRole("region", { name });
    const dataTransfer = { types: ["Files"], files: [note, picture] };
    expect(fireEvent.dragOver(place, { dataTransfer }), "the browser would open the file").toBe(false);
    fireEvent.drop(place, { dataTransfer });
  };
  const paste = () => fireEvent.paste(document.body, { clipboardData: { files: [picture] } });
  const taken = (place: typeof first) => place.mock.calls.map(([one]) => one.file?.name);
  const wanted = (one: number, other: number) => waitFor(() => expect([taken(first).length, taken(second).length]).toEqual([one, other]));
  drop("Your picture");
  await wanted(1, 0);
  paste();
  await wanted(1, 1);
  drop("The second picture");
  await wanted(1, 2);
  rerender(pages({ kind: "catalogue", id: two }));
  // Once the second place is full, what is pasted is the first.
  paste();
  await wanted(2, 2);
  expect([...taken(first), ...taken(second)]).toEqual(Array(4).fill("own.png"));

  serve(() => new Response(bytes, { status: 200 }));
  const go = (address: string) => {
    fireEvent.change(screen.getByRole("textbox"), { target: { value: address } });
    fireEvent.click(screen.getByRole("button", { name: "Look" }));
  };
  go("https://elsewhere.example/x.png");
  await waitFor(() => expect(screen.getByRole("alert").textContent).toMatch(/^The address is of another server.*choose the file\.$/));
  expect(asked).toEqual([]);
  go(`${location.origin}/pictures/x.png`);
  await waitFor(() => expect(taken(first)).toEqual(["own.png", "own.png", "x.png"]));
  expect(asked).toEqual([`${location.origin}/pictures/x.png`]);
});

it("says in a sentence that a picture's body broke off, and knows an address of the catalogue's", async () => {
  const body = new ReadableStream({ start: (controller) => controller.error(new TypeError("network")) });
  serve(() => new Response(body, { status: 200 }));
  const onPicture = vi.fn();
  show(
    <PicturePlace label="Your picture" picture={null} name={null} onPicture={onPicture}>
      Drop one
    </PicturePlace>,
  );
  const go = (address: string) => {
    fireEvent.change(screen.getByRole("textbox"), { target: { value: address } });
    fireEvent.click(screen.getByRole("button", { name: "Look" }));
  };
  go("/somewhere/x.png");
  await waitFor(() => expect(screen.getByRole("alert").textContent).toBe("The picture did not arrive whole. Try again."));
  go(`/i/${one}?dictionary=m%2Fone`);
  await waitFor(() => expect(onPicture).toHaveBeenCalledWith({ kind: "catalogue", id: one }));
  expect(asked).toHaveLength(1);
});
