/** What fires on one picture, shaped for its list: groups, order, and the reading of one cell. Pure. */
import { type AnalysedFeature, type Analysis, type Concept, conceptClasses } from "@/lib/core/records";
import { decodeMap, toDense } from "@/lib/core/sparse-map";

export interface Firing extends AnalysedFeature {
  /** rows × cols activations, row-major. */
  dense: Float32Array;
}

export type GroupKey = Concept | "low" | "always_on";

export interface FiringGroup {
  key: GroupKey;
  name: string;
  items: FiringItem[];
}

export interface FiringItem {
  feature: Firing;
  /** Its activation in the cell, or its mean over the picture when no cell is given. */
  value: number;
}

export function decodeAnalysis(analysis: Analysis): Firing[] {
  return analysis.features.map((feature) => ({ ...feature, dense: toDense(decodeMap(feature.map), analysis.rows, analysis.cols) }));
}

const groupNames: Record<Concept, string> = {
  object: "Objects",
  part: "Parts",
  scene: "Scenes",
  material: "Materials",
  texture: "Textures",
  colour: "Colours",
  emotion: "Emotions",
  text: "Written text",
  position: "Positions",
  action: "Actions",
  other: "Other concepts",
};

/** Unexplained features are low-level until someone explains them; those that fire everywhere come last whatever they are called. */
function groupOf(feature: AnalysedFeature): GroupKey {
  if (feature.alwaysOn || feature.sink) return "always_on";
  return feature.concept ?? "low";
}

/**
 * Groups in a fixed order (concepts, low-level, always-on), each strongest first; empty groups are left out. With `cell` only features
 * active in that cell remain.
 */
export function groupFirings(firings: Firing[], cell: number | null = null): FiringGroup[] {
  const groups = new Map<GroupKey, FiringItem[]>();
  for (const feature of firings) {
    const value = cell === null ? feature.mean : (feature.dense[cell] ?? 0);
    if (!(value > 0)) continue;
    const key = groupOf(feature);
    const items = groups.get(key);
    if (items) items.push({ feature, value });
    else groups.set(key, [{ feature, value }]);
  }
  const order: GroupKey[] = [...conceptClasses, "low", "always_on"];
  return order.flatMap((key) => {
    const items = groups.get(key);
    if (!items) return [];
    items.sort((a, b) => b.value - a.value || a.feature.index - b.feature.index);
    return [{ key, name: key === "low" ? "Low-level or unexplained" : key === "always_on" ? "Always on" : groupNames[key], items }];
  });
}

/** The largest value shown in any group: the full length of a bar. Never 0. */
export function strongest(groups: FiringGroup[]): number {
  let most = 0;
  for (const group of groups) for (const item of group.items) most = Math.max(most, item.value);
  return most > 0 ? most : 1;
}

/** The scale of one feature's heat: its own catalogue maximum, so that a weak firing looks weak; its peak where that is larger. */
export function firingScale(feature: Pick<AnalysedFeature, "maxActivation" | "peak">): number {
  const largest = Math.max(feature.maxActivation ?? 0, feature.peak);
  return largest > 0 ? largest : 1;
}
