import { describe, expect, it } from "vitest";
import { type GraphFeature, graphSize, layoutGraph } from "./trace-graph-marks";

const features: GraphFeature[] = [
  { index: 7, value: 2, from: [{ source: "w:dog", value: 1.5 }] },
  {
    index: 3,
    value: -0.5,
    from: [
      { source: "p:12", value: -0.4 },
      { source: "w:dog", value: -0.1 },
    ],
  },
  { index: 9, value: 0.1, from: [] },
];
const sources = ["p:12", "w:dog", "w:is"];

describe.each([1200, 700, 342])("the graph at %i pixels", (width) => {
  const layout = layoutGraph(features, sources, graphSize(width));
  const nodes = [...layout.sources, ...layout.features, layout.answer];

  it("keeps every node inside and apart from the others, wide enough for words", () => {
    for (const node of nodes) {
      expect(node.x).toBeGreaterThanOrEqual(0);
      expect(node.x + node.width).toBeLessThanOrEqual(width + 0.5);
      expect(node.y).toBeGreaterThanOrEqual(0);
      expect(node.y + 34).toBeLessThanOrEqual(layout.height + 0.5);
      expect(node.width).toBeGreaterThan(80);
    }
    for (const [i, a] of nodes.entries()) {
      for (const b of nodes.slice(i + 1)) {
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || Math.abs(a.y - b.y) >= 34;
        expect(apart, `${a.id} and ${b.id}`).toBe(true);
      }
    }
  });

  it("draws one edge for each part, thicker where more is carried", () => {
    expect(layout.edges.map(({ id }) => id).sort()).toEqual(["3>answer", "7>answer", "9>answer", "p:12>3", "w:dog>3", "w:dog>7"]);
    const thickness = (id: string) => layout.edges.find((edge) => edge.id === id)?.thickness ?? 0;
    expect(thickness("7>answer")).toBeGreaterThan(thickness("9>answer"));
    expect(thickness("w:dog>7")).toBeGreaterThan(thickness("w:dog>3"));
    expect(layout.edges.every(({ path }) => /^M[\d.,]+/.test(path) && !path.includes("NaN"))).toBe(true);
  });

  it("sets sources beside the features that they feed, those that feed none last", () => {
    expect(layout.sources.map(({ id }) => id)).toEqual(["w:dog", "p:12", "w:is"]);
  });
});

it("stands without features or sources", () => {
  const layout = layoutGraph([], [], graphSize(400));
  expect(layout.edges).toEqual([]);
  expect(layout.height).toBeGreaterThan(0);
});
