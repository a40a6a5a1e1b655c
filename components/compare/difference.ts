/** How two pictures differ in what fires on them. Pure. */
import type { Firing } from "@/components/image/firing";

export const measures = ["mean", "peak"] as const;
export type Measure = (typeof measures)[number];

export const measureNames: Record<Measure, string> = { mean: "Mean", peak: "Strongest" };

export const measureWords: Record<Measure, string> = {
  mean: "Difference of the mean activations over all cells of each picture: large things and backgrounds come first.",
  peak: "Difference of the strongest cells: small things count as much as large ones.",
};

export interface Difference {
  index: number;
  /** The feature on each picture; null where it does not fire. */
  first: Firing | null;
  second: Firing | null;
  /** Raw activation by the measure; 0 where it does not fire. */
  values: [first: number, second: number];
  /** The first picture's value less the second's. */
  difference: number;
  alwaysOn: boolean;
}

export interface Differences {
  onlyFirst: Difference[];
  both: Difference[];
  onlySecond: Difference[];
  /** Of those in both, what fires nearly everywhere. */
  everywhere: Difference[];
}

/** Every feature that fires on either picture, each group by |difference|, the greatest first, equal ones by index. */
export function compareFirings(first: readonly Firing[], second: readonly Firing[], measure: Measure): Differences {
  const found = new Map<number, Pick<Difference, "first" | "second">>();
  for (const firing of first) if (firing.peak > 0) found.set(firing.index, { first: firing, second: null });
  for (const firing of second) {
    if (firing.peak > 0) found.set(firing.index, { first: found.get(firing.index)?.first ?? null, second: firing });
  }
  const groups: Differences = { onlyFirst: [], both: [], onlySecond: [], everywhere: [] };
  for (const [index, on] of found) {
    const values: [number, number] = [on.first?.[measure] ?? 0, on.second?.[measure] ?? 0];
    const either = (on.first ?? on.second) as Firing;
    const alwaysOn = either.alwaysOn || either.sink;
    const one = { index, ...on, values, difference: values[0] - values[1], alwaysOn };
    if (!on.second) groups.onlyFirst.push(one);
    else if (!on.first) groups.onlySecond.push(one);
    else (alwaysOn ? groups.everywhere : groups.both).push(one);
  }
  for (const group of Object.values(groups)) {
    group.sort((a: Difference, b: Difference) => Math.abs(b.difference) - Math.abs(a.difference) || a.index - b.index);
  }
  return groups;
}
