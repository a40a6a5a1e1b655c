/** The scores that lists sort and filter by, as columns of the feature: one row for each explanation that was scored. */
import { type ScoreKey, scoreKeys } from "@/lib/core/records";

/** Other names that tools give a score. */
const alsoNamed: Partial<Record<ScoreKey, string[]>> = { fuzzing: ["fuzz"] };

/** A SELECT over a score table of `explanation_id` and one column for each of `scoreKeys`; null where it was not measured or failed. */
export function scoreColumnsSql(scoreTable: string): string {
  const columns = scoreKeys.map((key) => {
    const names = [key, ...(alsoNamed[key] ?? [])].map((name) => `'${name}'`);
    return `max(value) FILTER (WHERE metric IN (${names.join(", ")})) AS ${key}`;
  });
  return `SELECT explanation_id, ${columns.join(", ")} FROM ${scoreTable} GROUP BY explanation_id`;
}

/** Names of those columns, each with the alias of a table before it. */
export const scoreColumns = (alias?: string) => scoreKeys.map((key) => (alias ? `${alias}.${key}` : key)).join(", ");
