/** Scores of explanations as rows of a table. */
import type { scoreColumns } from "../bundle";
import type { Row, Table } from "../parquet";
import { madeTable } from "../source";

export interface Measured {
  metric: string;
  /** Null where it failed. */
  value: number | null;
  n: number;
  failure: string | null;
  /** A sentence on how. */
  method: string;
}

/** `explanation`: the method of the explanation that was scored. */
export function scoreTable(
  file: string,
  explanation: string,
  features: { index: number; scores: Measured[] }[],
): Table<typeof scoreColumns> {
  const rows = features.reduce((sum, feature) => sum + feature.scores.length, 0);
  return madeTable(file, rows, function* (): Generator<Row<typeof scoreColumns>> {
    for (const { index, scores } of features) {
      for (const { metric, value, n, failure, method } of scores)
        yield { index, explanation, metric, value, baseline: null, n, failure, method };
    }
  });
}
