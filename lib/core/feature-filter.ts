/** Which rows of a dictionary, held as columns, pass the filters of a query. */
import { metricTypes } from "./feature-cursor";
import type { FeatureQuery } from "./feature-query";
import { conceptClasses, flagKeys, type MetricKey, metricKeys } from "./records";

export interface FilterColumns {
  rows: number;
  /** NaN where the feature lacks the metric; of those stored in single precision, the stored value. */
  metrics: Record<MetricKey, Float64Array>;
  /** Bit i: the i-th of `flagKeys`. */
  flags: Uint8Array;
  /** 1 and up: places in `conceptClasses`; 0: none of them. */
  concepts: Uint8Array;
}

/** 1 for each row that passes the filters; the query's search, order and cursor play no part. */
export function passingRows({ rows, metrics, flags, concepts }: FilterColumns, query: FeatureQuery): Uint8Array {
  // Condition by condition: a loop over one column is many times faster than one over all conditions of a row.
  const passes = new Uint8Array(rows).fill(1);
  for (const key of metricKeys) {
    const range = query.ranges[key];
    if (range?.min === undefined && range?.max === undefined) continue;
    const bound = metricTypes[key] === "real" ? Math.fround : Number;
    const [min, max] = [bound(range.min ?? Number.NEGATIVE_INFINITY), bound(range.max ?? Number.POSITIVE_INFINITY)];
    const values = metrics[key];
    for (let i = 0; i < rows; i++) {
      const value = values[i] as number;
      // A comparison with NaN is false.
      if (!(value >= min && value <= max)) passes[i] = 0;
    }
  }
  let [asked, wanted] = [0, 0];
  flagKeys.forEach((key, bit) => {
    if (query.flags[key] === undefined) return;
    asked |= 1 << bit;
    if (query.flags[key]) wanted |= 1 << bit;
  });
  if (asked) for (let i = 0; i < rows; i++) if (((flags[i] as number) & asked) !== wanted) passes[i] = 0;
  if (query.concepts.length) {
    const named = new Uint8Array(conceptClasses.length + 1);
    for (const concept of query.concepts) named[conceptClasses.indexOf(concept) + 1] = 1;
    for (let i = 0; i < rows; i++) if (!named[concepts[i] as number]) passes[i] = 0;
  }
  if (query.scoredBy.length) {
    const scores = query.scoredBy.map((key) => metrics[key]);
    for (let i = 0; i < rows; i++) if (passes[i] && scores.every((values) => Number.isNaN(values[i]))) passes[i] = 0;
  }
  return passes;
}
