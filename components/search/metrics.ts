/** The numbers that lists show, sort and filter by: their names, what they mean, how they are written. */
import { formatActivation, formatCount, formatPercent, formatScore } from "@/lib/core/format";
import { type Concept, type FeatureCard, type FlagKey, type MetricKey, type SortKey, scoreKeys } from "@/lib/core/records";

export interface Metric {
  key: MetricKey;
  name: string;
  /** In a narrow column. */
  short: string;
  explain: string;
  format: (value: number | null) => string;
  /** Decimals for which a column has room. */
  places: number;
  of: (card: FeatureCard) => number | null;
}

export const metrics: Record<MetricKey, Metric> = {
  density: {
    key: "density",
    name: "Density",
    short: "Density",
    explain: "Share of image tokens on which the feature is active.",
    format: formatPercent,
    places: 3,
    of: (card) => card.density,
  },
  text_density: {
    key: "text_density",
    name: "Text density",
    short: "Text dens.",
    explain: "Share of text tokens on which the feature is active.",
    format: formatPercent,
    places: 3,
    of: (card) => card.textDensity,
  },
  max_activation: {
    key: "max_activation",
    name: "Maximum",
    short: "Max",
    explain: "Largest activation seen anywhere in the catalogue.",
    format: formatActivation,
    places: 3,
    of: (card) => card.maxActivation,
  },
  mean_activation: {
    key: "mean_activation",
    name: "Mean activation",
    short: "Mean",
    explain: "Mean activation over the tokens on which the feature is active.",
    format: formatActivation,
    places: 3,
    of: (card) => card.meanActivation,
  },
  image_share: {
    key: "image_share",
    name: "Image share",
    short: "Image",
    explain: "Share of its summed activation that lies on image tokens; the rest lies on text.",
    format: formatPercent,
    places: 2,
    of: (card) => card.imageShare,
  },
  iou: {
    key: "iou",
    name: "IoU",
    short: "IoU",
    explain: "Intersection over union: how exactly the feature's mask covers what its label names. 1 is exact, 0 misses it.",
    format: formatScore,
    places: 0,
    of: (card) => card.iou,
  },
  steer: {
    key: "steer",
    name: "Steering effect",
    short: "Steers",
    explain: "How often clamping the feature makes the model name its label.",
    format: formatScore,
    places: 0,
    of: (card) => card.steer,
  },
  clip: {
    key: "clip",
    name: "CLIP score",
    short: "CLIP",
    explain: "How alike CLIP finds the label and the pictures on which the feature is most active, 0 to 100.",
    format: formatScore,
    places: 0,
    of: (card) => card.clip,
  },
  consistency: {
    key: "consistency",
    name: "Consistency",
    short: "Consist.",
    explain: "How often a judge agrees that the examples show what the explanation says.",
    format: formatScore,
    places: 0,
    of: (card) => card.consistency,
  },
  detection: {
    key: "detection",
    name: "Detection",
    short: "Detect.",
    explain: "How often a judge who has only the explanation tells active examples from others.",
    format: formatScore,
    places: 0,
    of: (card) => card.detection,
  },
  fuzzing: {
    key: "fuzzing",
    name: "Fuzzing",
    short: "Fuzzing",
    explain: "How often a judge who has only the explanation tells rightly marked tokens from wrongly marked ones.",
    format: formatScore,
    places: 0,
    of: (card) => card.fuzzing,
  },
  images: {
    key: "images",
    name: "Images",
    short: "Images",
    explain: "Images of the catalogue on which the feature fires.",
    format: formatCount,
    places: 0,
    of: (card) => card.images,
  },
};

export const sortNames: Record<SortKey, string> = {
  index: "Index",
  relevance: "Best match",
  density: metrics.density.name,
  text_density: metrics.text_density.name,
  max_activation: metrics.max_activation.name,
  mean_activation: metrics.mean_activation.name,
  image_share: metrics.image_share.name,
  iou: metrics.iou.name,
  steer: metrics.steer.name,
  clip: metrics.clip.name,
  consistency: metrics.consistency.name,
  detection: metrics.detection.name,
  fuzzing: metrics.fuzzing.name,
  images: metrics.images.name,
};

/** On every card anyway. */
const onCards: readonly MetricKey[] = ["density", "max_activation"];

/** The number that a card leads with: what its list is sorted by, else the first score that it has. */
export function leadOf(card: FeatureCard, sort?: SortKey): MetricKey | null {
  const has = (key: MetricKey) => metrics[key].of(card) !== null;
  const asked = sort && sort in metrics ? (sort as MetricKey) : null;
  if (asked && !onCards.includes(asked) && has(asked)) return asked;
  return scoreKeys.find(has) ?? null;
}

/** A name as it stands within a sentence: abbreviations, which have capitals of their own, keep them. */
export function inSentence(name: string): string {
  return /^\p{Lu}\p{Ll}*(?=\s|$)/u.test(name) ? name.charAt(0).toLowerCase() + name.slice(1) : name;
}

export const flagNames: Record<FlagKey, { name: string; explain: string }> = {
  explained: { name: "Explained", explain: "Has an explanation that could be read." },
  always_on: {
    name: "Always on",
    explain: "Active on at least half of all image or text tokens: usually carries position or scale, not a concept.",
  },
  sink: { name: "Sink", explain: "Most of its activation falls on the template or a few fixed positions." },
  dead: { name: "Dead", explain: "Fired on no token of the catalogue." },
};

export const conceptExplanations: Record<Concept, string> = {
  object: "A kind of thing.",
  part: "A part of a thing.",
  scene: "A place or background.",
  material: "What a thing is made of.",
  texture: "A pattern or surface.",
  colour: "A colour.",
  emotion: "A feeling on a face.",
  text: "Letters or written words.",
  position: "A place in the picture.",
  action: "What someone does.",
  other: "Something else.",
};
