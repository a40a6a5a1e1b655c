/** Rows as the database gives them → records as the API sends them. */
import type { AnalysedFeature, Concept, EncodedMap, FeatureCard, ImageExample } from "@/lib/core/records";

/** What every list says of a feature, for a query over `feature f`. */
export const nameColumns = "f.index, f.label, f.concept, f.density, f.always_on, f.sink, f.max_activation";

export interface NameRow {
  index: number;
  label: string | null;
  concept: string | null;
  density: number | null;
  always_on: boolean;
  sink: boolean;
  max_activation: number | null;
}

export type FeatureName = Omit<AnalysedFeature, "mean" | "peak" | "map">;

export function toFeatureName(row: NameRow): FeatureName {
  return {
    index: row.index,
    label: row.label,
    concept: row.concept as Concept | null,
    density: row.density,
    alwaysOn: row.always_on,
    sink: row.sink,
    maxActivation: row.max_activation,
  };
}

/** The columns of a card, for a query over `feature f`. */
export const cardColumns = `${nameColumns}, f.text_density, f.mean_activation, f.image_share, f.iou, f.steer, f.clip, f.consistency, f.detection,
  f.fuzzing, f.dead, f.images`;

export interface CardRow extends NameRow {
  text_density: number | null;
  mean_activation: number | null;
  image_share: number | null;
  iou: number | null;
  steer: number | null;
  clip: number | null;
  consistency: number | null;
  detection: number | null;
  fuzzing: number | null;
  dead: boolean;
  images: number | null;
}

export function toCard(row: CardRow): FeatureCard {
  return {
    ...toFeatureName(row),
    textDensity: row.text_density,
    meanActivation: row.mean_activation,
    imageShare: row.image_share,
    iou: row.iou,
    steer: row.steer,
    clip: row.clip,
    consistency: row.consistency,
    detection: row.detection,
    fuzzing: row.fuzzing,
    dead: row.dead,
    images: row.images,
    top: [],
    text: null,
    match: null,
  };
}

/** The columns of an example, for a query over `activation a`. */
export const mapColumns = "a.rows, a.cols, a.peak, a.mean, a.map_positions, a.map_values";

export interface MapRow {
  rows: number;
  cols: number;
  peak: number;
  mean: number;
  map_positions: Buffer;
  map_values: Buffer;
}

export function toMap(row: MapRow): EncodedMap {
  return { p: row.map_positions.toString("base64"), v: row.map_values.toString("base64") };
}

export function toImageExample(row: MapRow & { sha256: string }): ImageExample {
  return { image: row.sha256, rows: row.rows, cols: row.cols, peak: row.peak, mean: row.mean, map: toMap(row) };
}
