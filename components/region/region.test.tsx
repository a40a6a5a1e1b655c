// @vitest-environment jsdom
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { Tooltip } from "radix-ui";
import { useState } from "react";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Firing } from "@/components/image/firing";
import { type RegionPictures, regionPicturesQueryOptions } from "@/lib/api/region-pictures";
import { cellsBox, coverage, decodeRegion, emptyRegion, encodeRegion, paintShape } from "@/lib/core/region";
import { RegionPainter } from "./region-painter";
import { RegionResults } from "./region-results";
import { RegionTools } from "./region-tools";
import { useRegion } from "./use-region";

beforeAll(() => {
  // jsdom has neither a colour scheme, a canvas nor a layout: the picture is 80 × 40 px, ten to a cell.
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
  HTMLCanvasElement.prototype.getContext = () => null;
  HTMLElement.prototype.getBoundingClientRect = () => new DOMRect(0, 0, 80, 40);
  // Nor pointers.
  globalThis.PointerEvent ??= class extends MouseEvent {
    readonly isPrimary: boolean;
    readonly pointerId: number;
    constructor(type: string, init: PointerEventInit = {}) {
      super(type, init);
      this.isPrimary = init.isPrimary ?? false;
      this.pointerId = init.pointerId ?? 0;
    }
  } as unknown as typeof PointerEvent;
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
afterEach(cleanup);

const firing = (index: number, cells: Record<number, number>, more: Partial<Firing> = {}): Firing => {
  const dense = new Float32Array(32);
  for (const [cell, value] of Object.entries(cells)) dense[Number(cell)] = value;
  const common = {
    label: `feature ${index}`,
    concept: null,
    density: 0.1,
    alwaysOn: false,
    sink: false,
    maxActivation: 8,
    mean: 1,
    peak: 8,
  };
  return { index, ...common, map: { p: "", v: "" }, dense, ...more };
};
const everywhere = Object.fromEntries(Array.from({ length: 32 }, (_, cell) => [cell, 5]));
const firings = [
  firing(1, { 0: 8, 1: 8 }),
  firing(2, { 0: 2, 31: 20 }),
  firing(3, { 0: 6 }),
  firing(4, everywhere),
  firing(5, { 0: 4, 1: 4 }, { alwaysOn: true }),
];

function Page({ start = "", onCode = () => {} }: { start?: string; onCode?: (code: string) => void }) {
  const painting = useRegion({ rows: 4, cols: 8, start, onCode, enabled: true });
  const [held, setHeld] = useState<number | null>(null);
  return (
    <>
      <RegionTools painting={painting} />
      <RegionPainter src="x.png" alt="A lemon" painting={painting} heat={null} />
      <RegionResults
        painting={painting}
        firings={firings}
        dictionary={{ ref: "m/d", numLatents: 8 }}
        hrefOf={(index) => `/f/${index}`}
        held={held}
        onHold={setHeld}
        onLook={() => {}}
        picture={"a".repeat(64)}
      />
    </>
  );
}

function show(start = "", client = new QueryClient({ defaultOptions: { queries: { staleTime: Number.POSITIVE_INFINITY } } })) {
  const onCode = vi.fn<(code: string) => void>();
  render(
    <QueryClientProvider client={client}>
      <Tooltip.Provider>
        <Page start={start} onCode={onCode} />
      </Tooltip.Provider>
    </QueryClientProvider>,
  );
  const covered = () => {
    const region = decodeRegion(onCode.mock.lastCall?.[0] ?? "");
    return region ? Object.fromEntries([...coverage(region)].flatMap((share, cell) => (share ? [[cell, share]] : []))) : {};
  };
  return { onCode, covered, canvas: screen.getByRole("application"), client };
}

const drag = (canvas: HTMLElement, ...points: [number, number][]) => {
  const surface = canvas.querySelector("[data-surface]") as HTMLElement;
  const at = ([clientX, clientY]: [number, number]) => ({ clientX, clientY, button: 0, isPrimary: true, pointerId: 1 });
  fireEvent.pointerDown(surface, at(points[0] as [number, number]));
  for (const point of points.slice(1)) fireEvent.pointerMove(surface, at(point));
  fireEvent.pointerUp(surface, at(points.at(-1) as [number, number]));
};
const listed = () =>
  within(screen.getByRole("list", { name: "Features by contrast" }))
    .getAllByRole("button")
    .map((row) => row.getAttribute("aria-label"));

it("is painted by keyboard: a cursor, a box with Shift, Space, Delete, and taken back and done again", () => {
  const { canvas, covered } = show();
  expect(screen.getByText("Paint over a part of the picture")).toBeTruthy();
  const press = (key: string, more = {}) => fireEvent.keyDown(canvas, { key, ...more });
  // The first key shows where the cursor is: in the middle, cell 20.
  press("ArrowRight");
  expect(within(canvas).getByRole("status").textContent).toBe("Row 3, column 5, 0 % painted");
  press("Home");
  press("ArrowUp");
  press(" ");
  expect(covered()).toEqual({ 8: 1 });
  press("ArrowUp", { shiftKey: true });
  press("ArrowRight", { shiftKey: true });
  expect(within(canvas).getByRole("status").textContent).toBe("Row 1, column 2, 0 % painted, box from row 2, column 1");
  press("Enter");
  expect(covered()).toEqual({ 0: 1, 1: 1, 8: 1, 9: 1 });
  press("Delete");
  expect(covered()).toEqual({ 0: 1, 8: 1, 9: 1 });
  fireEvent.keyDown(document.body, { key: "z", ctrlKey: true });
  expect(covered()).toEqual({ 0: 1, 1: 1, 8: 1, 9: 1 });
  fireEvent.keyDown(document.body, { key: "z", metaKey: true });
  fireEvent.keyDown(document.body, { key: "Z", ctrlKey: true, shiftKey: true });
  expect(covered()).toEqual({ 0: 1, 1: 1, 8: 1, 9: 1 });
  fireEvent.click(screen.getByRole("button", { name: "Clear" }));
  expect(covered()).toEqual({});
  fireEvent.click(screen.getByRole("button", { name: "Undo" }));
  expect(covered()).toEqual({ 0: 1, 1: 1, 8: 1, 9: 1 });
});

it("is painted by pointer with each tool, erased, and a second finger paints nothing", () => {
  const { canvas, covered } = show();
  expect((canvas.querySelector("[data-surface]") as HTMLElement).className).toContain("touch-none");
  fireEvent.keyDown(document.body, { key: "x" });
  drag(canvas, [0, 0], [20, 15]);
  expect(covered()).toEqual({ 0: 1, 1: 1, 8: 0.5, 9: 0.5 });
  drag(canvas, [75, 35]);
  expect(covered()).toMatchObject({ 31: 1 });
  fireEvent.click(screen.getByRole("button", { name: "Erase" }));
  drag(canvas, [0, 10], [40, 40]);
  drag(canvas, [75, 35]);
  expect(covered()).toEqual({ 0: 1, 1: 1 });
  fireEvent.click(screen.getByRole("button", { name: "Erase" }));
  fireEvent.keyDown(document.body, { key: "l" });
  drag(canvas, [40, 20], [80, 20], [80, 40], [40, 40]);
  expect(covered()).toEqual({ 0: 1, 1: 1, 20: 1, 21: 1, 22: 1, 23: 1, 28: 1, 29: 1, 30: 1, 31: 1 });
  fireEvent.keyDown(document.body, { key: "b" });
  const surface = canvas.querySelector("[data-surface]") as HTMLElement;
  fireEvent.pointerDown(surface, { clientX: 60, clientY: 5, isPrimary: false, button: 0, pointerId: 2 });
  fireEvent.pointerUp(surface, { clientX: 60, clientY: 5, isPrimary: false, button: 0, pointerId: 2 });
  expect(covered()).not.toHaveProperty("6");
  drag(canvas, [45, 5], [65, 5]);
  expect(covered()).toMatchObject({ 5: 1 });
});

it("ends a stroke where it was left, though no move told of it", () => {
  const { covered, canvas } = show();
  fireEvent.keyDown(document.body, { key: "x" });
  const surface = canvas.querySelector("[data-surface]") as HTMLElement;
  fireEvent.pointerDown(surface, { clientX: 0, clientY: 0, isPrimary: true, button: 0, pointerId: 1 });
  fireEvent.pointerUp(surface, { clientX: 20, clientY: 10, isPrimary: true, button: 0, pointerId: 1 });
  expect(covered()).toEqual({ 0: 1, 1: 1 });
});

it("ranks by contrast with both means, and looks for pictures with what is ticked when asked", async () => {
  const region = encodeRegion(paintShape(emptyRegion(4, 8), cellsBox(0, 1, 8)));
  const { client } = show(region);
  // 4 is the same everywhere; 2 is 2 / 2 inside and 20 / 30 outside.
  expect(listed()).toEqual([
    "feature 1, contrast 8, inside 8, outside 0",
    "feature 5, contrast 4, inside 4, outside 0",
    "feature 3, contrast 3, inside 3, outside 0",
    "feature 2, contrast 0.333, inside 1, outside 0.667",
  ]);
  // The one that is always on is not looked for by itself.
  const ticked = () => screen.getAllByRole("checkbox").map((box) => (box as HTMLInputElement).checked);
  expect(ticked()).toEqual([true, false, true, true]);
  fireEvent.click(screen.getByRole("checkbox", { name: /feature 2/ }));
  expect(ticked()).toEqual([true, false, true, false]);
  const answer: RegionPictures = {
    dictionary: "m/d",
    examined: { examples: 7, pictures: 6, catalogue: 2_400 },
    total: 1,
    items: [
      {
        image: "b".repeat(64),
        caption: "two lemons",
        score: 0.5,
        features: [{ index: 1, inside: 4, outside: 0, rows: 4, cols: 8, peak: 8, mean: 1, map: { p: "AAA=", v: "AEg=" } }],
      },
    ],
  };
  const question = { dictionary: "m/d", features: [1, 3], region, without: "a".repeat(64) };
  client.setQueryData(regionPicturesQueryOptions(question).queryKey, answer);
  fireEvent.click(screen.getByRole("button", { name: "Find pictures with these 2 features there" }));
  const link = await screen.findByRole("link", { name: "two lemons: 1 of 2 features, .50 of their maxima" });
  expect(link.getAttribute("href")).toBe(`/i/${"b".repeat(64)}?dictionary=m%2Fd&region=${region}`);
  expect(screen.getByText(/Looked through: 7 stored examples of these features on 6 pictures of the catalogue's 2,400\./)).toBeTruthy();
  // Another region is another question.
  fireEvent.keyDown(document.body, { key: "z", ctrlKey: true });
  fireEvent.keyDown(screen.getByRole("application"), { key: " " });
  expect(screen.queryByRole("link", { name: /two lemons/ })).toBeNull();
});
