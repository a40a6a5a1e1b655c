// @vitest-environment jsdom
// Long because the same page, its answers and its router are made up for all of them.
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, cleanup, configure, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { EngineEvent, GenerateRequest, Receipt } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { decodeSteerLink, encodeSteerLink, linkInHash, type SteerLink } from "@/lib/core/steer-link";
import { Sandbox } from "./sandbox";
import { emptyLink, startingClamp } from "./state";
import { strengths } from "./strengths";

// The router's part that the sandbox uses: search parameters that follow the address.
vi.mock("next/navigation", async () => {
  const { useSyncExternalStore } = await import("react");
  const subscribe = (listener: () => void) => {
    for (const type of ["popstate", "address"]) window.addEventListener(type, listener);
    return () => {
      for (const type of ["popstate", "address"]) window.removeEventListener(type, listener);
    };
  };
  return { useSearchParams: () => new URLSearchParams(useSyncExternalStore(subscribe, () => location.search)) };
});

// Machines at work on other things are slow.
configure({ asyncUtilTimeout: 15_000 });

const sha = "c".repeat(64);
const dictionary = {
  ref: "toy/model.layers.1",
  model: { id: "toy", name: "Toy", sha256: "a".repeat(64), imageSize: 96, grid: { rows: 12, cols: 12 } },
  id: "model.layers.1",
  hook: "model.layers.1",
  layer: 1,
  sha256: "b".repeat(64),
  numLatents: 300,
  engine: "ready",
} as unknown as Dictionary;
const link: SteerLink = {
  ...emptyLink(dictionary.ref, "b".repeat(12)),
  messages: [
    {
      role: "user",
      content: [
        { type: "image", image: { sha256: sha, upload: false } },
        { type: "text", text: "What do you see?" },
      ],
    },
  ],
  clamps: [startingClamp(7, 1)],
};
const none = { planned: 0, changed: 0 };

function receipt(arm: "steered" | "baseline", text: string, over: Partial<Receipt> = {}): EngineEvent {
  const clamp = {
    feature: 7,
    op: "set" as const,
    value: 2,
    unit: "max" as const,
    unitActivation: 1,
    scope: { type: "image" as const },
    image: { planned: 144, changed: 144 },
    prompt: none,
    generated: none,
    meanBefore: 0,
    meanAfter: 2,
  };
  return {
    type: "receipt",
    receipt: {
      arm,
      outcome: arm,
      reason: null,
      text,
      finish: "stop",
      model: { id: "toy", sha256: "a".repeat(64) },
      dictionary: { id: "model.layers.1", hook: "model.layers.1", sha256: "b".repeat(64) },
      prompt: { text: "", images: [] },
      mode: "delta",
      sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
      clamps: arm === "steered" ? [clamp] : [],
      prefill: { image: arm === "steered" ? clamp.image : none, text: none },
      decode: none,
      relativeNorm: 0.4,
      tokens: 2,
      engine: { name: "test", version: "1", dtype: "float32" },
      timingsMs: { queued: 0, prefill: 1, decode: 1 },
      ...over,
    },
  };
}
const token = (arm: "steered" | "baseline", i: number, text: string): EngineEvent => ({
  type: "token",
  arm,
  i,
  id: i,
  text,
  logprob: -0.1,
  alternatives: [{ id: 99, text: " heart", logprob: -2 }],
});
const meta: EngineEvent = {
  type: "meta",
  arms: ["steered", "baseline"],
  prompt: { text: "", imageTokens: 144, textTokens: 6, unknown: ["zebu"] },
  engine: { name: "test", version: "1", dtype: "float32" },
};
const answers = (steered: EngineEvent): EngineEvent[] => [
  meta,
  token("steered", 0, "a"),
  token("baseline", 0, "a"),
  token("steered", 1, " lemon"),
  token("baseline", 1, " dog"),
  steered,
  receipt("baseline", "a dog"),
  { type: "done" },
];

/** What `POST /api/steer` answers; null never answers until it is aborted. */
let reply:
  | EngineEvent[]
  | (() => EngineEvent[] | { status: number; body: unknown })
  | ReadableStream<Uint8Array>
  | { status: number; body: unknown }
  | null = null;
let sent: GenerateRequest[] = [];
let aborted = 0;

function steer(init: RequestInit): Promise<Response> {
  sent.push(JSON.parse(String(init.body)));
  if (reply === null) {
    return new Promise((_, reject) => {
      init.signal?.addEventListener("abort", () => {
        aborted++;
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  }
  if (reply instanceof ReadableStream) return Promise.resolve(new Response(reply));
  const given = typeof reply === "function" ? reply() : reply;
  if (!Array.isArray(given)) return Promise.resolve(Response.json(given.body, { status: given.status }));
  return Promise.resolve(new Response(given.map((event) => `${JSON.stringify(event)}\n`).join("")));
}

beforeEach(() => {
  reply = answers(receipt("steered", "a lemon"));
  sent = [];
  aborted = 0;
  sessionStorage.clear();
  history.replaceState(null, "", "/steer");
  for (const method of ["pushState", "replaceState"] as const) {
    const plain = History.prototype[method];
    vi.spyOn(history, method).mockImplementation((...args) => {
      plain.apply(history, args);
      // The router tells its readers after the current render, never during it.
      queueMicrotask(() => act(() => void window.dispatchEvent(new Event("address"))));
    });
  }
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      unobserve() {}
      disconnect() {}
    },
  );
  vi.stubGlobal("fetch", (url: string, init: RequestInit = {}) => {
    if (url === "/api/steer") return steer(init);
    return Promise.resolve(
      Response.json({ error: { code: "not_found", message: "Not here.", fix: "None.", retry: false } }, { status: 404 }),
    );
  });
});
afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function open(initial: SteerLink = link, mayResume = false, dictionaries = [dictionary]) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  return render(
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <Sandbox initial={initial} fresh={link} mayResume={mayResume} notice={null} dictionaries={dictionaries} />
      </TooltipProvider>
    </QueryClientProvider>,
  );
}

const main = (name: "Run" | "Stop") => screen.getAllByRole("button", { name })[0] as HTMLElement;
const inAddress = () => decodeSteerLink(new URLSearchParams(location.search).get("r") ?? "");
const answer = (name: string) => screen.findByRole("region", { name: new RegExp(`${name} answer`, "i") });
const question = () => screen.getByRole("textbox", { name: "Question" }) as HTMLTextAreaElement;

it("offers no run where no engine has the model, and says why and what to do", async () => {
  open(link, false, [{ ...dictionary, engine: "none" }]);
  expect(main("Run").getAttribute("aria-disabled")).toBe("true");
  expect(screen.getAllByRole("button", { name: "Run" })).toHaveLength(1);
  expect(screen.getByText(/No engine here can run Toy, so this request can be set up and shared/)).toBeTruthy();
  fireEvent.click(main("Run"));
  fireEvent.keyDown(document.body, { key: "Enter", ctrlKey: true });
  expect(await screen.findByText(/^Not run: No engine here can run Toy\. Choose a dictionary/)).toBeTruthy();
  expect(sent).toEqual([]);
});

it("runs the request that is set up, and shows both answers with what differs and what was changed", async () => {
  open();
  fireEvent.keyDown(document.body, { key: "Enter", ctrlKey: true });
  const steered = await answer("Steered");
  await within(steered).findByRole("button", { name: /lemon.*differs from the baseline/ });
  expect(within(steered).getByText(/Changed 144 of 144 image positions/)).toBeDefined();
  const baseline = within(await answer("Baseline"));
  expect(baseline.getByText(/nothing was changed/)).toBeDefined();
  // Positions are counted where there are some: the model alone has none.
  expect(within(steered).getAllByRole("row", { hidden: true })).toHaveLength(4);
  expect(baseline.queryByRole("table", { hidden: true })).toBeNull();
  expect(sent).toHaveLength(1);
  expect(sent[0]?.interventions).toMatchObject([{ feature: 7, op: "set", value: strengths.onPicture, scope: { type: "image" } }]);
  expect(screen.getByText(/does not know the word/).textContent).toContain("zebu");
  expect(screen.getByText("Done. Steered: a lemon. Baseline: a dog.")).toBeDefined();
});

it("tries a clamp at seven strengths at one press, without the word that the model has no token for, and keeps that in the address", async () => {
  const values = [0, 1, 2, 4, 6, 8, 12];
  const point = (value: number, i: number) => {
    const event = receipt("steered", value < 2 ? "a dog" : value < 8 ? "a lemon" : "lemon lemon lemon", {
      sweep: { point: i, clamp: 0, value },
    });
    return { ...event, receipt: { ...(event as Extract<EngineEvent, { type: "receipt" }>).receipt, arm: `sweep:${i}` as const } };
  };
  const refusal = {
    code: "word_unknown",
    message: "The model has no token for “zebu”, so its probability cannot be watched.",
    fix: "Watch a word that the model knows; its alternatives show some.",
    retry: false,
  };
  reply = () =>
    sent.at(-1)?.watch?.includes("zebu")
      ? { status: 422, body: { error: refusal } }
      : [...answers(receipt("steered", "a lemon")).slice(0, -1), ...values.map(point), { type: "done" }];
  open({ ...link, watch: ["zebu", "lemon"] });
  fireEvent.click(screen.getByRole("button", { name: /^Dose curve/ }));
  const curve = await screen.findByRole("region", { name: /^Dose curve of/ });
  await within(curve).findByText(/The answer changes at 2 × max for the first time\. It breaks at 8 × max: it repeats “lemon”/);
  expect(within(curve).getByText(/no token for “zebu”/)).toBeDefined();
  expect(sent.map(({ sweep, watch }) => [sweep, watch])).toEqual([
    [{ clamp: 0, values }, ["zebu", "lemon"]],
    [{ clamp: 0, values }, ["lemon"]],
  ]);
  const points = within(within(curve).getByRole("list", { name: "Answers by strength" })).getAllByRole("button");
  expect(points).toHaveLength(7);
  fireEvent.click(points[6] as HTMLElement);
  expect(within(curve).getByText(/Changed 144 of 144/)).toBeDefined();
  await waitFor(() => expect(inAddress().sweep).toEqual({ clamp: 0, values }));
});

it("never calls an unchanged answer steered", async () => {
  reply = answers(receipt("steered", "a lemon", { outcome: "unchanged", reason: "feature 7 is inactive there" }));
  open();
  fireEvent.click(main("Run"));
  const steered = await answer("Steered");
  expect(await within(steered).findByText("unchanged")).toBeDefined();
  expect(within(steered).getByRole("heading").textContent).toContain("Not steered");
  expect(within(steered).getByText(/Nothing was changed: feature 7 is inactive there/)).toBeDefined();
});

it("stops by Escape and takes nobody's focus", async () => {
  reply = null;
  open();
  question().focus();
  fireEvent.click(main("Run"));
  await screen.findAllByText("Asking the engine…");
  expect(document.activeElement).toBe(question());
  fireEvent.keyDown(document.body, { key: "Escape" });
  await waitFor(() => expect(aborted).toBe(1));
  expect(main("Run")).toBeDefined();
  expect(document.activeElement).toBe(question());
});

it("shows an error in place and loses nothing that was typed", async () => {
  const error = { code: "engine_busy", message: "16 requests are waiting already.", fix: "Wait a moment and run again.", retry: true };
  reply = { status: 503, body: { error } };
  open();
  fireEvent.change(question(), { target: { value: "Where is it?" } });
  fireEvent.click(main("Run"));
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("16 requests are waiting already.");
  expect(question().value).toBe("Where is it?");
  reply = answers(receipt("steered", "a lemon"));
  fireEvent.click(within(alert).getByRole("button", { name: "Run again" }));
  await within(await answer("Steered")).findByText(/Changed 144/);
  expect(sent.at(-1)?.messages[0]?.content.at(-1)).toEqual({ type: "text", text: "Where is it?" });
});

it("does not send what cannot run, and says where to mend it", async () => {
  open({ ...link, messages: [{ role: "user", content: [{ type: "text", text: "" }] }] });
  fireEvent.click(main("Run"));
  expect(await screen.findByText("Type a question.")).toBeDefined();
  expect(screen.getByText(/^#7 is clamped on the picture, but there is none/)).toBeDefined();
  expect(sent).toEqual([]);
  expect(screen.getAllByRole("status")[0]?.textContent).toMatch(/^Not run: Type a question\. #7 is clamped/);
});

it("runs by Ctrl + Enter wherever the focus is, in a choice that prevents Enter too", async () => {
  open();
  const ablate = screen.getByRole("radio", { name: "Ablate" });
  fireEvent.click(ablate);
  fireEvent.keyDown(ablate, { key: "Enter", ctrlKey: true });
  await within(await answer("Steered")).findByText(/Changed 144/);
  expect(sent[0]?.interventions[0]?.op).toBe("ablate");
});

it("shows the place in the queue as it changes, and says it aloud", async () => {
  let put: (event: EngineEvent) => void = () => {};
  reply = new ReadableStream<Uint8Array>({
    start(controller) {
      put = (event) => controller.enqueue(new TextEncoder().encode(`${JSON.stringify(event)}\n`));
    },
  });
  open();
  fireEvent.click(main("Run"));
  put({ type: "queued", position: 2 });
  expect(await screen.findByText(/^In the queue: 2 requests ahead\. It starts by itself/)).toBeDefined();
  expect(screen.getAllByRole("status")[0]?.textContent).toBe("In the queue: 2 requests ahead.");
  put({ type: "queued", position: 0 });
  expect(await screen.findByText(/^Next in the queue\. It starts/)).toBeDefined();
  for (const event of answers(receipt("steered", "a lemon"))) put(event);
  await within(await answer("Steered")).findByText(/Changed 144/);
  expect(screen.queryByText(/in the queue/i)).toBeNull();
});

it("says that a request is another version's, and takes the one at hand when asked", async () => {
  open({ ...link, version: "0".repeat(12) });
  expect(screen.getByText(/made for version 000000000000 of the dictionary; the catalogue has bbbbbbbbbbbb/)).toBeDefined();
  fireEvent.click(screen.getByRole("button", { name: "Use version bbbbbbbbbbbb" }));
  expect(screen.queryByText(/made for version/)).toBeNull();
  await waitFor(() => expect(inAddress().version).toBe("b".repeat(12)));
});

it("keeps a long request in the address too, behind the #, and opens it from there", async () => {
  const { unmount } = open();
  const text = "is there a lemon ? ".repeat(400);
  fireEvent.change(question(), { target: { value: text } });
  await waitFor(() => expect(location.hash.length).toBeGreaterThan(7_600));
  expect(location.search.length).toBeLessThan(100);
  const address = location.href;
  unmount();
  sessionStorage.clear();
  history.replaceState(null, "", address);
  open(link, true);
  expect(question().value).toBe(text);
});

it("keeps the request in the address; Back returns to the step before", async () => {
  open();
  await waitFor(() => expect(inAddress()).toEqual(link));
  const length = history.length;
  fireEvent.click(screen.getByRole("button", { name: "Everywhere" }));
  await waitFor(() => expect(inAddress().clamps[0]?.scope).toEqual({ type: "all" }));
  expect(history.length).toBe(length + 1);
  fireEvent.change(question(), { target: { value: "W" } });
  fireEvent.change(question(), { target: { value: "Why?" } });
  await waitFor(() => expect(inAddress().messages[0]?.content.at(-1)).toEqual({ type: "text", text: "Why?" }));
  expect(history.length).toBe(length + 1);
  act(() => history.back());
  await waitFor(() => expect(screen.getByRole("button", { name: "Image" }).getAttribute("aria-pressed")).toBe("true"));
  expect(question().value).toBe("What do you see?");
});

it("goes on where the tab left off, with its answers", async () => {
  const { unmount } = open();
  fireEvent.change(question(), { target: { value: "Is there a lemon?" } });
  fireEvent.click(main("Run"));
  await within(await answer("Steered")).findByText(/Changed 144/);
  unmount();
  history.replaceState(null, "", "/steer");
  open(link, true);
  expect(await screen.findByText("Picked up where this tab left off.")).toBeDefined();
  expect(question().value).toBe("Is there a lemon?");
  expect(within(await answer("Steered")).getByText(/Changed 144/)).toBeDefined();
});

it("keeps a request that runs in this tab behind the #, also one that Back brings, and names it to the server again where that runs it", async () => {
  sessionStorage.setItem("facet.steer-where", "tab");
  const file = { path: "x", bytes: 1, sha256: "0".repeat(64) };
  const runtime = { wasm: { module: file, wasm: file }, webgpu: { module: file, wasm: file } };
  const pack = { dictionary: dictionary.ref, sha256: dictionary.sha256, manifest: "{}", files: [file], tensors: {}, runtime };
  const usual = fetch;
  vi.stubGlobal("fetch", (url: string, init?: RequestInit) =>
    url.startsWith("/api/engine?") ? Promise.resolve(Response.json(pack)) : usual(url, init),
  );
  history.replaceState(null, "", `/steer?r=${encodeSteerLink(link)}`);
  open();
  const behind = () => decodeSteerLink(linkInHash(location.hash) ?? "");
  await waitFor(() => expect(location.search).not.toContain("r="));
  expect(behind().messages).toEqual(link.messages);
  fireEvent.change(question(), { target: { value: "A secret?" } });
  await waitFor(() => expect(behind().messages[0]?.content[1]).toEqual({ type: "text", text: "A secret?" }));
  expect(location.search).not.toContain("r=");
  const old = { ...link, clamps: [startingClamp(9, 1)] };
  history.replaceState(null, "", `/steer?r=${encodeSteerLink(old)}`);
  await waitFor(() => expect(screen.getByRole("link", { name: "Open feature #009" })).toBeDefined());
  await waitFor(() => expect(behind().clamps[0]?.feature).toBe(9));
  expect(location.search).not.toContain("r=");
  fireEvent.click(screen.getByRole("radio", { name: "on the server" }));
  await waitFor(() => expect(inAddress().clamps[0]?.feature).toBe(9));
  expect(location.hash).toBe("");
});

it("opens what the address names rather than what the server drew for another", () => {
  history.replaceState(null, "", `/steer?r=${encodeSteerLink({ ...link, clamps: [startingClamp(9, 1)] })}`);
  open();
  expect(screen.getByRole("link", { name: "Open feature #009" })).toBeDefined();
});
