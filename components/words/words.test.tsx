// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { Tooltip } from "radix-ui";
import { afterEach, beforeAll, expect, it } from "vitest";
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { nameFirings, strongestAt, weightsOf } from "./tokens";
import { ReadPrompt } from "./words-view";

beforeAll(() => {
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
  globalThis.PointerEvent ??= class extends MouseEvent {
    readonly isPrimary: boolean;
    constructor(type: string, init: PointerEventInit = {}) {
      super(type, init);
      this.isPrimary = init.isPrimary ?? false;
    }
  } as unknown as typeof PointerEvent;
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
afterEach(cleanup);

const word = (text: string, kind: "text" | "template" = "text") => ({ kind, text, cell: null });
const feature = (index: number, on: Record<number, number>) => {
  const values = Object.values(on);
  const map = { positions: Uint16Array.from(Object.keys(on), Number), values: Float32Array.from(values) };
  return { index, mean: values.reduce((a, b) => a + b, 0) / 8, peak: Math.max(...values), map };
};
/** `<s>`, a picture of 1 × 2 cells, four words and a mark. */
const prompt: PromptFeatures = {
  positions: [
    word("<s>", "template"),
    { kind: "image", text: "", cell: { image: 0, cell: 0 } },
    { kind: "image", text: "", cell: { image: 0, cell: 1 } },
    word("is"),
    word("there"),
    word("a"),
    word("dog"),
    word("<assistant>", "template"),
  ],
  images: [{ start: 1, rows: 1, cols: 2 }],
  unknown: ["blorb"],
  features: [
    feature(9, { 0: 9, 1: 9, 2: 9, 3: 9, 4: 9, 5: 9, 6: 9, 7: 9 }),
    feature(1, { 6: 8 }),
    feature(2, { 2: 4, 6: 2 }),
    feature(3, { 4: 3, 5: 6 }),
  ],
};
const common = { concept: null, density: 0.1, sink: false, maxActivation: 9 };
const names = [1, 2, 9].map((index) => ({ index, label: `feature ${index}`, ...common, alwaysOn: index === 9 }));

it("names what is strongest on each token, without what fires everywhere, and weighs words and painted cells alike", () => {
  const firings = nameFirings(prompt, names);
  const strongest = strongestAt(firings, 8, 1).map(([one]) => one && [one.index, one.label, one.activation]);
  expect(strongest).toEqual([
    undefined,
    undefined,
    [2, "feature 2", 4],
    undefined,
    [3, null, 3],
    [3, null, 6],
    [1, "feature 1", 8],
    undefined,
  ]);
  expect([...weightsOf(8, new Set([0, 6]), { start: 1, cover: Float32Array.of(0, 0.5) })]).toEqual([1, 0, 0.5, 0, 0, 0, 1, 0]);
});

it("ranks features by the tokens that are pressed, dragged over and walked to, and by the picture's cells", () => {
  render(
    <Tooltip.Provider>
      <ReadPrompt
        read={{ prompt, firings: nameFirings(prompt, names) }}
        picture={{ src: "x", name: "x.png" }}
        dictionary={{ ref: "m/d", numLatents: 16 }}
      />
    </Tooltip.Provider>,
  );
  expect(screen.getByRole("note").textContent).toContain("“blorb”");
  const strip = within(screen.getByRole("group", { name: "The prompt, token by token" }));
  const token = (name: string) => strip.getByRole("button", { name: new RegExp(`^${name}: `) });
  const on = () =>
    strip
      .getAllByRole("button", { pressed: true })
      .map((one) => one.getAttribute("aria-label")?.split(":")[0])
      .join(" ");
  const listed = () =>
    within(screen.getByRole("list", { name: "Features by contrast" }))
      .getAllByRole("button")
      .map((row) => row.getAttribute("aria-label"));
  const at = { isPrimary: true, button: 0, pointerId: 1 };
  expect(token("dog").getAttribute("aria-label")).toBe("dog: feature 1 8, feature 2 2");
  expect(screen.getByText("Choose tokens")).toBeTruthy();

  fireEvent.pointerDown(token("dog"), at);
  fireEvent.pointerUp(token("dog"), at);
  expect(listed()).toEqual(["feature 1, contrast 8, chosen 8, rest 0", "feature 2, contrast 1.43, chosen 2, rest 0.571"]);

  fireEvent.pointerDown(token("a"), at);
  fireEvent.pointerEnter(token("there"), at);
  fireEvent.pointerUp(document, at);
  fireEvent.pointerEnter(token("is"), at);
  expect(on()).toBe("there a");
  expect(listed()[0]).toBe("unexplained, contrast 4.5, chosen 4.5, rest 0");
  fireEvent.pointerDown(token("dog"), { ...at, ctrlKey: true });
  fireEvent.pointerUp(document, at);
  expect(on()).toBe("there a dog");

  // The list's row tints the tokens; their numbers stand under them.
  fireEvent.focus(screen.getByRole("button", { name: /^feature 1, contrast/ }));
  expect(within(token("dog")).getByText("8")).toBeTruthy();
  expect(within(token("a")).getByText("0")).toBeTruthy();
  fireEvent.blur(screen.getByRole("button", { name: /^feature 1, contrast/ }));

  // By keyboard: a step, three with Shift, all, none.
  token("is").focus();
  fireEvent.keyDown(token("is"), { key: "ArrowRight" });
  expect(document.activeElement).toBe(token("there"));
  fireEvent.click(token("there"), { detail: 0 });
  expect(on()).toBe("there");
  for (const from of ["there", "a"]) fireEvent.keyDown(token(from), { key: "ArrowRight", shiftKey: true });
  expect(on()).toBe("there a dog");
  fireEvent.keyDown(token("dog"), { key: "Home", shiftKey: true });
  expect(on()).toBe("<s> is there");
  fireEvent.keyDown(token("<s>"), { key: "a", ctrlKey: true });
  expect(on()).toBe("is there a dog");
  fireEvent.keyDown(token("dog"), { key: "Escape" });
  expect(screen.getByText("Choose tokens")).toBeTruthy();

  // The picture's second cell, by its own keys.
  fireEvent.keyDown(screen.getByRole("application"), { key: "ArrowRight" });
  fireEvent.keyDown(screen.getByRole("application"), { key: " " });
  expect(screen.getByText(/^1 of 2 cells chosen: 1 feature of 4 fires more there/)).toBeTruthy();
  expect(listed()).toEqual(["feature 2, contrast 3.71, chosen 4, rest 0.286"]);
});
