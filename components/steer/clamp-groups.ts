/** Which clamps are shown as one: ablations of one place that stand together, as a swap makes them. */
import type { Clamp } from "./state";

export type ClampGroup = { type: "one"; clamp: Clamp } | { type: "ablations"; clamps: Clamp[] };

/** From so many on they are shown as one. */
const smallest = 3;

/** The clamps in their order, neighbours that ablate in the same scope together. */
export function groupClamps(clamps: readonly Clamp[]): ClampGroup[] {
  const runs: Clamp[][] = [];
  for (const clamp of clamps) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const joins = clamp.op === "ablate" && last?.op === "ablate" && JSON.stringify(last.scope) === JSON.stringify(clamp.scope);
    if (run && joins) run.push(clamp);
    else runs.push([clamp]);
  }
  return runs.flatMap((run): ClampGroup[] =>
    run.length >= smallest ? [{ type: "ablations", clamps: run }] : run.map((clamp) => ({ type: "one", clamp })),
  );
}
