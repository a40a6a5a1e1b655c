// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { Receipt } from "@/lib/core/protocol";
import { AnswersPanel } from "./answers-panel";
import type { DoseActions } from "./dose-panel";
import { type ArmRun, noRun, type RunState } from "./run-state";

const none = { planned: 0, changed: 0 };
const receipt: Receipt = {
  arm: "steered",
  outcome: "unchanged",
  reason: "no clamp was given",
  text: "a lemon",
  finish: "stop",
  model: { id: "toy", sha256: "a".repeat(64) },
  dictionary: { id: "model.layers.1", hook: "model.layers.1", sha256: "b".repeat(64) },
  prompt: { text: "", images: [] },
  mode: "delta",
  sampling: { maxTokens: 48, temperature: 0, topP: 1, seed: 0 },
  clamps: [],
  prefill: { image: none, text: none },
  decode: none,
  relativeNorm: null,
  tokens: 1,
  engine: { name: "test", version: "1", dtype: "float32" },
  timingsMs: { queued: 0, prefill: 1, decode: 1 },
};
const arm: ArmRun = { arm: "steered", tokens: [{ id: 1, text: "a lemon", logprob: -0.1, alternatives: [] }], receipt };
const done: RunState = { ...noRun, status: "done", key: "k", arms: [arm] };
const swept: RunState = {
  ...done,
  status: "running",
  sweep: { clamp: { feature: 7, op: "set", unit: "max", scope: { type: "image" } }, values: [1] },
  arms: [arm, { arm: "sweep:0", tokens: [], receipt: null }],
};

beforeEach(() => {
  vi.stubGlobal("fetch", () => Promise.resolve(Response.json({ error: { code: "not_found", message: "", fix: "", retry: false } })));
  vi.stubGlobal(
    "ResizeObserver",
    class {
      observe() {}
      disconnect() {}
    },
  );
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const view = (props: { run: RunState; stale?: boolean; blocked?: string; onRun?: () => void; dose?: DoseActions }) => (
  <QueryClientProvider client={new QueryClient({ defaultOptions: { queries: { retry: false } } })}>
    <TooltipProvider>
      <AnswersPanel stale={false} clamps={1} onRun={() => {}} {...props} />
    </TooltipProvider>
  </QueryClientProvider>
);
const again = () => screen.getByRole("button", { name: "Run again" });

it("offers to run again where an engine has the model", () => {
  const onRun = vi.fn();
  render(view({ run: done, stale: true, onRun }));
  expect(again().getAttribute("aria-disabled")).toBeNull();
  fireEvent.click(again());
  expect(onRun).toHaveBeenCalledTimes(1);
});

it("keeps answers to an earlier request where no engine has the model, with the reason in place of another run", () => {
  const { rerender } = render(view({ run: done, stale: true, blocked: "No engine here can run Toy" }));
  expect(again().getAttribute("aria-disabled")).toBe("true");
  expect(screen.getByText(/answers to the one before\. No engine here can run Toy, so they stay\./)).toBeTruthy();
  const error = { code: "engine_busy" as const, message: "16 requests are waiting already.", fix: "Wait a moment.", retry: true };
  rerender(view({ run: { ...done, status: "failed", error }, blocked: "No engine here can run Toy" }));
  expect(again().getAttribute("aria-disabled")).toBe("true");
});

it("brings a dose curve into view once when it was asked for, and not where one is opened", () => {
  const scrolled = vi.fn();
  HTMLElement.prototype.scrollIntoView = scrolled;
  let asked = true;
  const takeAsked = () => {
    const was = asked;
    asked = false;
    return was;
  };
  const dose: DoseActions = { onWatch: () => {}, onStrengths: () => {}, onClose: () => {}, takeAsked };
  const { rerender } = render(view({ run: swept, dose }));
  expect(scrolled).toHaveBeenCalledTimes(1);
  rerender(view({ run: { ...swept, status: "done" }, dose: { ...dose } }));
  cleanup();
  render(view({ run: swept, dose }));
  render(view({ run: swept }));
  expect(scrolled).toHaveBeenCalledTimes(1);
});
