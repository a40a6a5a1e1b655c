/** Scale and marks of bars to both sides of zero. */
import { scaleLinear } from "d3";

export interface DivergingScale {
  /** Value → share of the width, 0..1. */
  x: (value: number) => number;
  zero: number;
}

/** The side that has less, or nothing, still gets this share of the width, so that zero is seen to be a middle. */
const leastSide = 0.12;

/** One scale for all bars of a list: from the least to the greatest of the values, zero always among them. */
export function divergingScale(values: readonly number[]): DivergingScale {
  const finite = values.filter(Number.isFinite);
  const most = Math.max(0, ...finite);
  const least = Math.min(0, ...finite);
  if (most === 0 && least === 0) return { x: () => 0.5, zero: 0.5 };
  const span = (most - least) / (1 - leastSide);
  const up = Math.max(most, span * leastSide);
  const down = Math.max(-least, span * leastSide);
  const scale = scaleLinear().domain([-down, up]).range([0, 1]).clamp(true);
  return { x: scale, zero: scale(0) };
}

export interface DivergingBar {
  /** Shares of the width: where the bar begins and how long it is. */
  from: number;
  length: number;
  sign: "positive" | "negative";
}

export function divergingBar(value: number, { x, zero }: DivergingScale): DivergingBar {
  const end = x(value);
  return { from: Math.min(zero, end), length: Math.abs(end - zero), sign: value < 0 ? "negative" : "positive" };
}
