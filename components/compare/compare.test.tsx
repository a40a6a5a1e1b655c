// @vitest-environment jsdom
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { useState } from "react";
import { afterEach, beforeAll, expect, it, vi } from "vitest";
import type { Firing } from "@/components/image/firing";
import type { Analysis, Dictionary } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import { Comparison } from "./compare-pictures";
import { compareFirings, type Measure } from "./difference";

const drawn = vi.hoisted(() => vi.fn());
vi.mock("@/components/heatmap/heatmap-canvas", () => ({
  HeatmapCanvas: (props: { alt: string; map: Float32Array; max: number }) => {
    drawn(props.alt, [...props.map], props.max);
    return <p>{props.alt}</p>;
  },
}));

beforeAll(() => {
  window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} }) as unknown as MediaQueryList;
});
afterEach(cleanup);

const common = { concept: null, density: 0.1, alwaysOn: false, sink: false, maxActivation: 6 };
const firing = (index: number, mean: number, peak: number, more: Partial<Firing> = {}): Firing => ({
  index,
  label: `feature ${index}`,
  ...common,
  mean,
  peak,
  map: { p: "", v: "" },
  dense: new Float32Array(4),
  ...more,
});

it("sorts features into those on one picture alone and those on both, by how much they differ", () => {
  const first = [firing(1, 2, 4), firing(2, 1, 9), firing(3, 3, 5), firing(7, 9, 9, { alwaysOn: true }), firing(8, 0, 0)];
  const second = [firing(2, 1.5, 2), firing(3, 0.5, 5), firing(4, 0.25, 1), firing(5, 0.5, 0.75), firing(7, 1, 1, { alwaysOn: true })];
  const groups = compareFirings(first, second, "mean");
  const shape = (name: keyof typeof groups) => groups[name].map(({ index, values, difference }) => [index, ...values, difference]);
  expect(shape("onlyFirst")).toEqual([[1, 2, 0, 2]]);
  expect(shape("both")).toEqual([
    [3, 3, 0.5, 2.5],
    [2, 1, 1.5, -0.5],
  ]);
  expect(shape("onlySecond")).toEqual([
    [5, 0, 0.5, -0.5],
    [4, 0, 0.25, -0.25],
  ]);
  expect(shape("everywhere")).toEqual([[7, 9, 1, 8]]);
  // By the strongest cell the order is another.
  expect(compareFirings(first, second, "peak").both.map(({ index }) => index)).toEqual([2, 3]);
  expect(compareFirings(first, second, "peak").onlySecond.map(({ index }) => index)).toEqual([4, 5]);
});

const analysis = (...features: [index: number, cell: number, value: number][]): Analysis => ({
  dictionary: "m/d",
  source: "engine",
  rows: 2,
  cols: 2,
  total: features.length,
  features: features.map(([index, cell, value]) => ({
    index,
    label: `feature ${index}`,
    ...common,
    mean: value / 4,
    peak: value,
    map: encodeMap({ positions: Uint16Array.of(cell), values: Float32Array.of(value) }),
  })),
});

const both = {
  first: { src: "one", name: "one.png", analysis: analysis([1, 0, 8], [2, 3, 4]) },
  second: { src: "two", name: "two.png", analysis: analysis([1, 2, 2], [3, 1, 4]) },
};
function Page() {
  const [measure, setMeasure] = useState<Measure>("mean");
  return (
    <Comparison {...both} measure={measure} onMeasure={setMeasure} dictionary={{ ref: "m/d", numLatents: 8 } as Dictionary}>
      <p>the second's place</p>
    </Comparison>
  );
}

it("shows a feature's heat on both pictures on one scale while its row is looked at, and holds it when it is pressed", () => {
  render(<Page />);
  const rows = (name: string) =>
    within(screen.getByRole("region", { name }))
      .queryAllByRole("button")
      .map((row) => row.getAttribute("aria-label"));
  expect(rows("On both")).toEqual(["feature 1, first 2, second 0.5"]);
  expect(rows("Only on the first")).toEqual(["feature 2, first 1, second 0"]);
  expect(rows("Only on the second")).toEqual(["feature 3, first 0, second 1"]);
  const last = (name: RegExp) => drawn.mock.calls.findLast(([alt]) => name.test(alt))?.slice(1);
  const row = screen.getByRole("button", { name: /^feature 1,/ });
  fireEvent.focus(row);
  // The scale is the greater of the catalogue's maximum and both peaks.
  expect([last(/^First/), last(/^Second/)]).toEqual([
    [[8, 0, 0, 0], 8],
    [[0, 0, 2, 0], 8],
  ]);
  fireEvent.blur(row);
  expect(last(/^First/)?.[0]).toEqual([0, 0, 0, 0]);
  fireEvent.click(row);
  expect(row.getAttribute("aria-pressed")).toBe("true");
  expect(last(/^Second/)?.[0]).toEqual([0, 0, 2, 0]);
  fireEvent.keyDown(document.body, { key: "Escape" });
  expect(row.getAttribute("aria-pressed")).toBe("false");
  fireEvent.click(screen.getByRole("radio", { name: "Strongest" }));
  expect(rows("On both")).toEqual(["feature 1, first 8, second 2"]);
});
