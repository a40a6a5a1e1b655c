/** What the catalogue answers, as zod schemas: the rows of lists are narrow, the heavy payloads are in the details only. */
import { z } from "zod";
import { dictionaryRefSchema, sha256Schema } from "./protocol";

/** One number of a metric, or nothing where it was never measured. */
const metric = z.number().nullable();

export const encodedMapSchema = z.strictObject({
  /** base64, little-endian uint16: positions in the row-major grid. */
  p: z.string(),
  /** base64, little-endian fp16: the activation at each. */
  v: z.string(),
});

export const conceptClasses = [
  "object",
  "part",
  "scene",
  "material",
  "texture",
  "colour",
  "emotion",
  "text",
  "position",
  "action",
  "other",
] as const;
export const conceptSchema = z.enum(conceptClasses);

/** A picture with a map over its grid. */
export const imageExampleSchema = z.strictObject({
  image: sha256Schema,
  rows: z.number().int(),
  cols: z.number().int(),
  /** Largest activation on the grid. */
  peak: z.number(),
  /** Mean over the whole grid, zeros included. */
  mean: z.number(),
  map: encodedMapSchema,
});

/** Tokens with a map over them. `image` when the tokens followed one. */
export const textExampleSchema = z.strictObject({
  tokens: z.array(z.string()),
  image: sha256Schema.nullable(),
  peak: z.number(),
  map: encodedMapSchema,
});

export const matchSchema = z.strictObject({
  kind: z.enum(["key", "words", "typo", "meaning"]),
  /** The label or explanation with matching words between U+E000 and U+E001; null for a key. */
  highlight: z.string().nullable(),
});

export const featureCardSchema = z.strictObject({
  index: z.number().int(),
  label: z.string().nullable(),
  concept: conceptSchema.nullable(),
  /** Share of image tokens on which it is active, 0..1. */
  density: metric,
  /** Share of text tokens on which it is active, 0..1. */
  textDensity: metric,
  maxActivation: metric,
  /** Mean over the tokens on which it is active. */
  meanActivation: metric,
  /** Share of its total activation that lies on image tokens, 0..1; null when it never fires. */
  imageShare: metric,
  /** Intersection over union of its mask with the truth of its label, 0..1. */
  iou: metric,
  /** How often clamping it makes the model name its label, 0..1. */
  steer: metric,
  /** What other tools measure of the explanation, 0..1: likeness of image and label, agreement of judges, and how well it tells active examples. */
  clip: metric,
  consistency: metric,
  detection: metric,
  fuzzing: metric,
  dead: z.boolean(),
  alwaysOn: z.boolean(),
  sink: z.boolean(),
  /** Number of catalogue images on which it fires; null where nobody counted. */
  images: z.number().int().nullable(),
  top: z.array(imageExampleSchema),
  /** Where it fires on no picture: the words around the peak of its strongest text. */
  text: textExampleSchema.nullable(),
  match: matchSchema.nullable(),
});

/** Whether a search went by meaning too, and if not, why. */
export const meaningSchema = z.strictObject({
  /**
   * `used`; `not_read`: no feature has words, or the question is in a script that the embedder does not read; `no_vectors`: none were made
   * for this dictionary; `other_embedder`: they are another one's; `no_embedder`: this server has none; `unavailable`: it does not answer.
   */
  state: z.enum(["used", "not_read", "no_vectors", "other_embedder", "no_embedder", "unavailable"]),
  /** Who made the stored vectors, and who would embed the question. */
  stored: z.string().nullable(),
  here: z.string().nullable(),
});

export const featurePageSchema = z.strictObject({
  items: z.array(featureCardSchema),
  next: z.string().nullable(),
  previous: z.string().nullable(),
  /** Features that pass the filters and the search, counted. */
  total: z.number().int(),
  /** Null where nothing was asked for by meaning: no words, a key, a quoted phrase. */
  meaning: meaningSchema.nullable(),
});

export const dictionarySchema = z.strictObject({
  /** `<model>/<dictionary>`. */
  ref: dictionaryRefSchema,
  model: z.strictObject({
    id: z.string(),
    name: z.string(),
    /** Of its weights; null where the files that were imported do not say. */
    sha256: sha256Schema.nullable(),
    /** Side of the model's square input, in pixels; null where it varies. */
    imageSize: z.number().int().nullable(),
    /** Of image tokens; null where it has none, or where it varies. */
    grid: z.strictObject({ rows: z.number().int(), cols: z.number().int() }).nullable(),
  }),
  /** e.g. `model.layers.1`. */
  id: z.string(),
  hook: z.string(),
  layer: z.number().int(),
  /** Of its weights. */
  sha256: sha256Schema,
  /** What a pinned link names, by its first 12 digits: the weights' hash, or that of weights and content where they have had several. */
  version: sha256Schema,
  /** The keys of the versions that the catalogue has of it, this one among them, the latest first. */
  versions: z.array(sha256Schema),
  numLatents: z.number().int(),
  /** Of the residual stream; null where only names of the dictionary are known, no weights. */
  width: z.number().int().nullable(),
  activation: z.string(),
  k: z.number().int().nullable(),
  metrics: z.strictObject({
    explainedVariance: metric,
    fvu: metric,
    l0: metric,
    deadShare: metric,
    lossRecovered: metric,
  }),
  counts: z.strictObject({
    features: z.number().int(),
    alive: z.number().int(),
    explained: z.number().int(),
    scored: z.number().int(),
    images: z.number().int(),
  }),
  /** Whether this server can run the model; `unreachable`: a worker has it, or may have it, that does not answer now. */
  engine: z.enum(["ready", "unreachable", "none"]),
  /** A few features that look like something, for the home page. */
  examples: z.array(featureCardSchema),
  importedAt: z.string(),
  attribution: z.string().nullable(),
});

export const scoreSchema = z.strictObject({
  metric: z.string(),
  value: metric,
  /** The same measurement on random features. */
  baseline: metric,
  n: z.number().int(),
  failure: z.string().nullable(),
  method: z.string(),
});

export const explanationSchema = z.strictObject({
  id: z.number().int(),
  method: z.string(),
  author: z.string(),
  text: z.string().nullable(),
  label: z.string().nullable(),
  concept: conceptSchema.nullable(),
  /** Why there is no text. */
  failure: z.string().nullable(),
  prompt: z.string().nullable(),
  createdAt: z.string(),
  preferred: z.boolean(),
  scores: z.array(scoreSchema),
});

export const bands = ["top", "upper", "middle", "lower", "random"] as const;
export type Band = (typeof bands)[number];

export const neighbourSchema = z.strictObject({
  kind: z.enum(["decoder", "coactive"]),
  index: z.number().int(),
  label: z.string().nullable(),
  value: z.number(),
  top: imageExampleSchema.nullable(),
});

export const featureDetailSchema = z.strictObject({
  dictionary: dictionarySchema.omit({ examples: true }),
  feature: featureCardSchema.omit({ match: true, text: true }),
  meanActivation: metric,
  /** Image tokens on which it is active; null where nobody counted. */
  activeTokens: z.number().int().nullable(),
  explanations: z.array(explanationSchema),
  /** Activation histogram over active image tokens: `counts[i]` lies in [edges[i], edges[i+1]). */
  histogram: z.strictObject({ edges: z.array(z.number()), counts: z.array(z.number().int()) }).nullable(),
  examples: z.record(z.enum(bands), z.array(imageExampleSchema)),
  texts: z.array(textExampleSchema),
  neighbours: z.array(neighbourSchema),
  /** Decoder row · unembedding, the largest (writes) and the smallest (suppresses); encoder row · embedding (reads). */
  tokens: z.strictObject({
    writes: z.array(z.strictObject({ token: z.string(), value: z.number() })),
    suppresses: z.array(z.strictObject({ token: z.string(), value: z.number() })),
    reads: z.array(z.strictObject({ token: z.string(), value: z.number() })),
  }),
});

export const histogramsSchema = z.strictObject({
  metrics: z.record(
    z.string(),
    z.strictObject({ edges: z.array(z.number()), counts: z.array(z.number().int()), missing: z.number().int() }),
  ),
  concepts: z.record(z.string(), z.number().int()),
  flags: z.record(z.string(), z.number().int()),
});

export const imageInfoSchema = z.strictObject({
  sha256: sha256Schema,
  width: z.number().int(),
  height: z.number().int(),
  mime: z.string(),
  source: z.string().nullable(),
  /** What the picture is known to show, where it was generated; free form. */
  caption: z.string().nullable(),
});

/** One feature's activations on one picture, as `POST /api/analyse` answers. */
export const analysedFeatureSchema = z.strictObject({
  index: z.number().int(),
  label: z.string().nullable(),
  concept: conceptSchema.nullable(),
  density: metric,
  alwaysOn: z.boolean(),
  sink: z.boolean(),
  maxActivation: metric,
  mean: z.number(),
  peak: z.number(),
  map: encodedMapSchema,
});

export const analysisSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** `engine`: computed now, whole; `catalogue`: only the stored examples. */
  source: z.enum(["engine", "catalogue"]),
  rows: z.number().int(),
  cols: z.number().int(),
  /** Features that fire at all, before `limit`. */
  total: z.number().int(),
  features: z.array(analysedFeatureSchema),
});

/** Names of the sort keys and of the range filters (`<name>_min`, `<name>_max`), in URLs and in the API alike. */
export const metricKeys = [
  "density",
  "text_density",
  "max_activation",
  "mean_activation",
  "image_share",
  "iou",
  "steer",
  "clip",
  "consistency",
  "detection",
  "fuzzing",
  "images",
] as const;
export type MetricKey = (typeof metricKeys)[number];
/** Those that score the preferred explanation: what `scored_by` names. */
export const scoreKeys = ["iou", "steer", "clip", "consistency", "detection", "fuzzing"] as const satisfies readonly MetricKey[];
export type ScoreKey = (typeof scoreKeys)[number];
/** `relevance`: best match first, by index where nothing is searched for; the default of a search, as `-steer` is of a whole list. */
export const sortKeys = ["relevance", "index", ...metricKeys] as const;
export type SortKey = (typeof sortKeys)[number];
export const flagKeys = ["dead", "always_on", "sink", "explained"] as const;
export type FlagKey = (typeof flagKeys)[number];

export type EncodedMap = z.infer<typeof encodedMapSchema>;
export type ImageExample = z.infer<typeof imageExampleSchema>;
export type TextExample = z.infer<typeof textExampleSchema>;
export type FeatureCard = z.infer<typeof featureCardSchema>;
export type FeaturePage = z.infer<typeof featurePageSchema>;
export type Meaning = z.infer<typeof meaningSchema>;
export type Dictionary = z.infer<typeof dictionarySchema>;
export type Explanation = z.infer<typeof explanationSchema>;
export type Score = z.infer<typeof scoreSchema>;
export type FeatureDetail = z.infer<typeof featureDetailSchema>;
export type Histograms = z.infer<typeof histogramsSchema>;
export type ImageInfo = z.infer<typeof imageInfoSchema>;
export type Analysis = z.infer<typeof analysisSchema>;
export type AnalysedFeature = z.infer<typeof analysedFeatureSchema>;
export type Concept = z.infer<typeof conceptSchema>;
export type Neighbour = z.infer<typeof neighbourSchema>;
