/**
 * What a clamp means: which positions its scope covers, and when it is refused. Pure and the same for every engine; clamp-arithmetic.mjs has what is done
 * at a position.
 */
import { FacetError } from "./errors";
import type { Intervention, Mode, Scope } from "./protocol";

/** A prompt as the model sees it, images expanded to one position a grid cell. */
export interface PromptLayout {
  /** Positions in all. */
  length: number;
  /** In the order in which they appear; `start` is the position of cell 0, cells follow row by row. */
  images: { start: number; rows: number; cols: number }[];
}

export type PositionKind = "image" | "prompt" | "generated";

export interface PlannedClamp {
  intervention: Intervention;
  /** Raw activation of one unit of `value`. */
  unitActivation: number;
  /** Prompt positions covered, ascending. */
  positions: number[];
  /** Whether it covers generated tokens as well. */
  generated: boolean;
}

export interface ClampPlan {
  layout: PromptLayout;
  /** In the request's order. */
  clamps: PlannedClamp[];
  /** Prompt positions that any clamp covers, ascending. */
  positions: number[];
  /** Whether any clamp covers generated tokens. */
  generated: boolean;
}

export interface PlanContext {
  layout: PromptLayout;
  mode: Mode;
  numLatents: number;
  /** Tokens that may be generated. */
  maxTokens: number;
  /** A feature's maximum activation over the catalogue; 0 where it never fired. */
  unitOf: (feature: number) => number;
}

export function imageAt(layout: PromptLayout, position: number): number {
  return layout.images.findIndex(({ start, rows, cols }) => position >= start && position < start + rows * cols);
}

export function kindOf(layout: PromptLayout, position: number): PositionKind {
  if (position >= layout.length) return "generated";
  return imageAt(layout, position) >= 0 ? "image" : "prompt";
}

/** Prompt positions that a scope covers, ascending and each once. Cells outside the grid are the caller's to refuse. */
export function scopePositions(scope: Scope, layout: PromptLayout): number[] {
  const all = Array.from({ length: layout.length }, (_, position) => position);
  switch (scope.type) {
    case "all":
      return all;
    case "image":
      return all.filter((position) => imageAt(layout, position) >= 0);
    case "prompt":
      return all.filter((position) => imageAt(layout, position) < 0);
    case "generated":
      return [];
    case "region": {
      const image = layout.images[scope.image];
      if (!image) return [];
      return [...new Set(scope.cells)].sort((a, b) => a - b).map((cell) => image.start + cell);
    }
  }
}

/** Why the clamp would act nowhere, or null when it acts somewhere. */
function nowhereReason(intervention: Intervention, context: PlanContext): string | null {
  const { feature, scope } = intervention;
  const { layout, numLatents, maxTokens, mode } = context;
  if (feature >= numLatents) return `the dictionary has features 0 to ${numLatents - 1}`;
  if (scope.type === "image" && layout.images.length === 0) return "its scope is the image and the prompt has none";
  if (scope.type === "prompt" && scopePositions(scope, layout).length === 0) return "the prompt has no position outside the image";
  if (scope.type === "generated" && mode === "reconstruct") {
    return "in mode reconstruct clamps act on the prompt only, as in the paper";
  }
  // The last token is read off the output and never enters the model, so a single one passes no hook.
  if (scope.type === "generated" && maxTokens < 2) return "with one token to write, no generated token passes through the hook";
  if (scope.type === "region") {
    const image = layout.images[scope.image];
    if (!image) {
      const has = layout.images.length === 0 ? "none" : `${layout.images.length}`;
      return `its region lies on image ${scope.image + 1} and the prompt has ${has}`;
    }
    const cells = image.rows * image.cols;
    const outside = scope.cells.find((cell) => cell >= cells);
    if (outside !== undefined) return `cell ${outside} lies outside the image's ${image.rows} × ${image.cols} grid`;
  }
  return null;
}

function unitOf(intervention: Intervention, context: PlanContext): number {
  if (intervention.unit === "raw") return 1;
  const unit = context.unitOf(intervention.feature);
  const needsUnit = intervention.op === "set" || intervention.op === "add";
  if (needsUnit && !(unit > 0)) {
    throw new FacetError(
      "invalid_request",
      `Feature ${intervention.feature} never fired on the catalogue, so it has no maximum to measure a strength by.`,
      { fix: "Give the value in raw activation instead." },
    );
  }
  return Math.max(unit, 0);
}

function refuseOverlap(clamps: PlannedClamp[]): void {
  const covered = new Map<number, { positions: Set<number>; generated: boolean }>();
  for (const { intervention, positions, generated } of clamps) {
    const { feature } = intervention;
    const earlier = covered.get(feature) ?? { positions: new Set<number>(), generated: false };
    if ((earlier.generated && generated) || positions.some((position) => earlier.positions.has(position))) {
      throw new FacetError("clamp_overlap", `Feature ${feature} is clamped twice at the same positions.`);
    }
    for (const position of positions) earlier.positions.add(position);
    covered.set(feature, { positions: earlier.positions, generated: earlier.generated || generated });
  }
}

/**
 * Scopes become positions and units become activations.
 * Throws `clamp_nowhere` with the reason, `clamp_overlap` for two clamps of one feature at one position, `invalid_request` for a unit that does not exist.
 */
export function planClamps(interventions: Intervention[], context: PlanContext): ClampPlan {
  const { layout, mode } = context;
  const clamps = interventions.map((intervention): PlannedClamp => {
    const reason = nowhereReason(intervention, context);
    if (reason) {
      throw new FacetError("clamp_nowhere", `The clamp on feature ${intervention.feature} would be applied nowhere: ${reason}.`);
    }
    const { type } = intervention.scope;
    return {
      intervention,
      unitActivation: unitOf(intervention, context),
      positions: scopePositions(intervention.scope, layout),
      generated: mode === "delta" && (type === "generated" || type === "all"),
    };
  });
  refuseOverlap(clamps);
  const positions = [...new Set(clamps.flatMap((clamp) => clamp.positions))].sort((a, b) => a - b);
  return { layout, clamps, positions, generated: clamps.some((clamp) => clamp.generated) };
}
