/** Layout of the graph answer ← features ← words and patches: places and paths, without drawing. */
import { linkHorizontal, scaleSqrt } from "d3";

export interface GraphFeature {
  index: number;
  /** To the answer. */
  value: number;
  /** What it took from each source. */
  from: { source: string; value: number }[];
}

export interface GraphSize {
  width: number;
  /** Of a node, and of the gap between two. */
  row: number;
  gap: number;
  /** Widths of the columns, the sources' and the features', and the answer's where it has one of its own. */
  columns: { source: number; feature: number; answer: number };
  /** Narrow: the answer stands above the features, not beside them. */
  stacked: boolean;
}

export interface GraphNode {
  id: string;
  x: number;
  y: number;
  width: number;
}

export interface GraphEdge {
  id: string;
  path: string;
  /** Of the stroke, in pixels. */
  thickness: number;
  value: number;
  /** The feature that it leads from or to. */
  feature: number;
}

export interface GraphLayout {
  height: number;
  answer: GraphNode;
  features: GraphNode[];
  sources: GraphNode[];
  edges: GraphEdge[];
}

/** Narrower than this, a third column would leave no room for words. */
export const stackedBelow = 620;
const gutter = 18;

/** Columns for a width in pixels. */
export function graphSize(width: number): GraphSize {
  const stacked = width < stackedBelow;
  const source = Math.round(Math.min(170, width * (stacked ? 0.27 : 0.2)));
  const answer = Math.round(Math.min(170, width * 0.18));
  const room = stacked ? width - source - gutter : width - source - answer;
  const feature = Math.round(stacked ? room * 0.76 : Math.min(300, room * 0.5));
  return { width, row: 34, gap: 8, columns: { source, feature, answer }, stacked };
}

type Point = [number, number];
const link = linkHorizontal<{ source: Point; target: Point }, Point>();

/**
 * Features in the order given; sources ordered by the middle of the features that they feed, so that few edges cross. Edge thickness is by |value|,
 * on one scale for all edges of a side.
 */
export function layoutGraph(features: readonly GraphFeature[], sources: readonly string[], size: GraphSize): GraphLayout {
  const { width, row, gap, columns, stacked } = size;
  const step = row + gap;
  const head = stacked ? row + 2 * gap + 8 : 0;
  const tall = Math.max(features.length, sources.length) * step - gap;
  const height = head + Math.max(tall, row);
  const centred = (count: number) => head + (Math.max(tall, row) - (count * step - gap)) / 2;

  const middles = new Map(sources.map((source) => [source, middleOf(source, features)]));
  const ordered = sources.toSorted((a, b) => (middles.get(a) ?? 0) - (middles.get(b) ?? 0) || a.localeCompare(b));
  const featureX = stacked
    ? width - gutter - columns.feature
    : columns.source + (width - columns.source - columns.answer - columns.feature) / 2;
  const featureNodes = features.map(({ index }, i) => ({
    id: String(index),
    x: featureX,
    y: centred(features.length) + i * step,
    width: columns.feature,
  }));
  const sourceNodes = ordered.map((id, i) => ({ id, x: 0, y: centred(ordered.length) + i * step, width: columns.source }));
  const answer: GraphNode = stacked
    ? { id: "answer", x: featureX, y: 0, width: columns.feature + gutter }
    : { id: "answer", x: width - columns.answer, y: head + (Math.max(tall, row) - row) / 2, width: columns.answer };

  const toAnswer = thicknessOf(features.map(({ value }) => value));
  const fromSource = thicknessOf(features.flatMap(({ from }) => from.map(({ value }) => value)));
  const edges: GraphEdge[] = [];
  features.forEach(({ index, value, from }, i) => {
    const node = featureNodes[i] as GraphNode;
    const middle = node.y + row / 2;
    for (const one of from) {
      const origin = sourceNodes.find(({ id }) => id === one.source);
      if (!origin) continue;
      const path = link({ source: [origin.x + origin.width, origin.y + row / 2], target: [node.x, middle] }) ?? "";
      edges.push({ id: `${one.source}>${index}`, path, thickness: fromSource(one.value), value: one.value, feature: index });
    }
    const right = node.x + node.width;
    // Stacked, the edges climb a gutter at the right, each in a lane of its own.
    const lane = right + 4 + ((gutter - 8) * i) / Math.max(1, features.length - 1);
    const path = stacked
      ? `M${right},${middle}H${lane - 3}Q${lane},${middle},${lane},${middle - 3}V${answer.y + row}`
      : (link({ source: [right, middle], target: [answer.x, answer.y + row / 2] }) ?? "");
    edges.push({ id: `${index}>answer`, path, thickness: stacked ? Math.min(3, toAnswer(value)) : toAnswer(value), value, feature: index });
  });
  return { height, answer, features: featureNodes, sources: sourceNodes, edges };
}

function middleOf(source: string, features: readonly GraphFeature[]): number {
  let weight = 0;
  let sum = 0;
  features.forEach(({ from }, i) => {
    for (const one of from) {
      if (one.source !== source) continue;
      weight += Math.abs(one.value);
      sum += i * Math.abs(one.value);
    }
  });
  return weight > 0 ? sum / weight : features.length;
}

function thicknessOf(values: readonly number[]): (value: number) => number {
  const most = Math.max(0, ...values.map(Math.abs));
  if (most === 0) return () => 1;
  const scale = scaleSqrt().domain([0, most]).range([0.75, 9]);
  return (value) => scale(Math.abs(value));
}
