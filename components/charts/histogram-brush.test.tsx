// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import { HistogramBrush } from "./histogram-brush";

beforeAll(() => {
  // jsdom has no layout.
  globalThis.ResizeObserver ??= class {
    observe() {}
    unobserve() {}
    disconnect() {}
  };
});
afterEach(cleanup);

const edges = [0, 0.001, 0.01, 0.1, 1];
const props = { name: "density", heading: "density", edges, counts: [5, 40, 3, 1], missing: 2, format: (value: number) => `${value}` };

it("is brushed with the keyboard", () => {
  const onChange = vi.fn();
  render(<HistogramBrush {...props} value={undefined} onChange={onChange} />);
  const [least, greatest] = screen.getAllByRole("slider") as [HTMLElement, HTMLElement];
  expect(least.getAttribute("aria-label")).toBe("Least density");
  expect(greatest.getAttribute("aria-valuetext")).toBe("1");
  least.focus();
  fireEvent.keyDown(least, { key: "ArrowRight" });
  expect(onChange).toHaveBeenLastCalledWith({ min: 0.001 });
});

it("says what is chosen and how many that is", () => {
  render(<HistogramBrush {...props} value={{ min: 0.001, max: 0.1 }} onChange={() => {}} />);
  expect(screen.getByText("0.001 to 0.1")).toBeTruthy();
  expect(screen.getByText("43 features")).toBeTruthy();
});

it("says what was not measured while everything is chosen", () => {
  render(<HistogramBrush {...props} value={undefined} onChange={() => {}} />);
  expect(screen.getByText("2 not measured")).toBeTruthy();
  expect(screen.getByText("any")).toBeTruthy();
});
