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

it("says of a range between two edges what it is, and no number of features that its bins do not tell", () => {
  render(<HistogramBrush {...props} value={{ min: 0.005 }} onChange={() => {}} />);
  expect(screen.getByText("≥ 0.005")).toBeTruthy();
  expect(screen.queryByText(/features?$/)).toBeNull();
});

it("says the same of what was brushed once it is in the address", () => {
  const long = [0, 0.00091173, 0.0123456, 0.1, 1];
  const onChange = vi.fn();
  const { rerender } = render(<HistogramBrush {...props} edges={long} value={undefined} onChange={onChange} />);
  fireEvent.keyDown(screen.getByRole("slider", { name: "Least density" }), { key: "ArrowRight" });
  const [value] = onChange.mock.lastCall as [{ min: number }];
  expect(value).toEqual({ min: 0.0009117 });
  rerender(<HistogramBrush {...props} edges={long} value={value} onChange={onChange} />);
  expect(screen.getByText("44 features")).toBeTruthy();
  expect(screen.getByRole("slider", { name: "Least density" }).getAttribute("aria-valuenow")).toBe("1");
});

it("says what was not measured while everything is chosen", () => {
  render(<HistogramBrush {...props} value={undefined} onChange={() => {}} />);
  expect(screen.getByText("2 not measured")).toBeTruthy();
  expect(screen.getByText("any")).toBeTruthy();
});
