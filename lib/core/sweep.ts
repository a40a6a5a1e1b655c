/** A sweep: one clamp at several strengths, an arm each. */
import { FacetError } from "./errors";
import type { GenerateRequest, Intervention, Receipt } from "./protocol";

export interface SweepPoint {
  arm: `sweep:${number}`;
  /** As the arm's receipt says it. */
  sweep: NonNullable<Receipt["sweep"]>;
  /** The request's clamps with the swept one at this strength, in the request's order. */
  interventions: Intervention[];
}

/** The request's sweep, point by point; none where it asks for none. Throws `invalid_request` where the clamp is not there or has no strength. */
export function sweepPoints({ sweep, interventions }: Pick<GenerateRequest, "sweep" | "interventions">): SweepPoint[] {
  if (!sweep) return [];
  const { clamp, values } = sweep;
  const swept = interventions[clamp];
  if (!swept) {
    const has = interventions.length === 0 ? "none" : `${interventions.length}`;
    throw new FacetError("invalid_request", `The sweep is of clamp ${clamp} and the request has ${has}; clamps count from 0.`);
  }
  if (swept.op === "ablate") {
    throw new FacetError(
      "invalid_request",
      `The sweep's clamp ${clamp} ablates feature ${swept.feature}, and an ablation has no strength.`,
      {
        fix: "Sweep a clamp that sets, scales or adds.",
      },
    );
  }
  return values.map((value, point) => ({
    arm: `sweep:${point}`,
    sweep: { point, clamp, value },
    interventions: interventions.map((intervention, index) => (index === clamp ? { ...intervention, value } : intervention)),
  }));
}
