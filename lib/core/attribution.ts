/**
 * Attribution's part of the wire contract: which features make one token of an answer what it is. docs/attribution.md has the arithmetic.
 *
 * At position t the state at the hook is h = Σ_f a_f · W_dec[f] + b_dec + error. With g = ∂metric/∂h, from one pass forward and one back, the feature's
 * contribution there is a_f · (g · W_dec[f]): what removing it would take from the metric, to first order.
 */
import { z } from "zod";
import { errorCodes } from "./errors";
import {
  alternativeSchema,
  dictionaryRefSchema,
  featureIndexSchema,
  interventionSchema,
  limits,
  messageSchema,
  modeSchema,
  samplingSchema,
  sha256Schema,
} from "./protocol";

export const attributionLimits = {
  /** Features in the answer. */
  rows: 1_000,
  /** Features that are ablated one by one. */
  measured: 200,
  steps: 64,
  alternatives: 32,
} as const;

const tokenIdSchema = z.number().int().min(0).max(0x7fff_ffff);
const placeSchema = z
  .number()
  .int()
  .min(0)
  .max(limits.maxTokens - 1);

/** What is explained; logits and probabilities are those from which the named place of the answer is chosen. */
export const attributionMetricSchema = z.discriminatedUnion("type", [
  /** logit[answer] − logit[baseline] at `position`. By default the token that stands there, and the likeliest other one. */
  z.strictObject({ type: z.literal("difference"), answer: tokenIdSchema.optional(), baseline: tokenIdSchema.optional() }),
  /** logit[answer] at `position`; by default of the token that stands there. */
  z.strictObject({ type: z.literal("logit"), answer: tokenIdSchema.optional() }),
  /** Log-probability of the answer's tokens from `from` up to but without `to`, each behind those before it; by default of all. */
  z.strictObject({
    type: z.literal("logprob"),
    from: placeSchema.optional(),
    to: z.number().int().min(1).max(limits.maxTokens).optional(),
  }),
]);

/**
 * `gradient`: at the state as it is. `integrated`: the mean gradient at the middles of `steps` equal parts of the way from the state without any feature
 * (h − Σ_f a_f · W_dec[f] at every position) to the state as it is; the features' sum then nears what removing all of them at once takes.
 */
export const attributionMethodSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("gradient") }),
  z.strictObject({ type: z.literal("integrated"), steps: z.number().int().min(2).max(attributionLimits.steps).default(16) }),
]);

/**
 * A control arm that answered in the place of the clamps: every change turned round, or each clamp's written along another feature at equal norm, drawn from
 * the run's `seed`. The arm `baseline` has no clamps, `reconstruction` none in mode `reconstruct`; neither needs this.
 */
export const attributionControlSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("negated") }),
  z.strictObject({ type: z.literal("random"), seed: samplingSchema.shape.seed }),
]);

export const attributionRequestSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** First 12 hexadecimal digits of the dictionary's hash; refused when the dictionary at hand is another. */
  version: z
    .string()
    .regex(/^[0-9a-f]{12}$/)
    .optional(),
  messages: z.array(messageSchema).min(1).max(limits.messages),
  /** The answer's token ids as generated. Without them the greedy answer, of at most `maxTokens`, is generated first. */
  answer: z.array(tokenIdSchema).min(1).max(limits.maxTokens).optional(),
  maxTokens: z.number().int().min(1).max(limits.maxTokens).default(48),
  /** The clamps under which the answer was given: contributions are those in the clamped states. */
  interventions: z.array(interventionSchema).max(limits.clamps, `a request takes at most ${limits.clamps} clamps`).default([]),
  mode: modeSchema.default("delta"),
  /** The answer is that of this control of the clamps: contributions are those in its states. Without it, of the clamps as asked. */
  control: attributionControlSchema.optional(),
  /** Place in the answer, from 0. */
  position: placeSchema.default(0),
  metric: attributionMetricSchema.default({ type: "difference" }),
  method: attributionMethodSchema.default({ type: "gradient" }),
  /** Features returned, largest |estimate| first. */
  limit: z.number().int().min(1).max(attributionLimits.rows).default(200),
  /** How many features, largest |estimate| first, are ablated one by one (0 = none). */
  exact: z.number().int().min(0).max(attributionLimits.measured).default(20),
  /** These are ablated in the place of the first `exact`; one that is inactive has no effect. */
  measure: z.array(featureIndexSchema).max(attributionLimits.measured).optional(),
  /** How many alternatives at `position` are returned. */
  alternatives: z.number().int().min(0).max(attributionLimits.alternatives).default(10),
});

/** Contributions at all positions, at those of images, and at all others; `total` is the sum of both. */
export const attributionPartsSchema = z.strictObject({ total: z.number(), image: z.number(), text: z.number() });

/** A position of the sequence from which the metric is computed: the prompt, then the answer's tokens before the last place that the metric looks at. */
export const attributionPositionSchema = z.strictObject({
  kind: z.enum(["image", "text", "template", "answer"]),
  /** As the model reads it; empty for an image's. */
  text: z.string(),
  /** Which image of the prompt, and which cell (row-major) of its grid; null for words, and for positions of an image that are on no cell. */
  cell: z.strictObject({ image: z.number().int(), cell: z.number().int() }).nullable(),
});

export const attributionRowSchema = z.strictObject({
  feature: featureIndexSchema,
  /** The sum of `at.values`. */
  estimate: z.number(),
  image: z.number(),
  text: z.number(),
  /** The largest activation on any position. */
  activation: z.number(),
  /** Where it is active, ascending, and its contribution at each. */
  at: z.strictObject({ positions: z.array(z.number().int().min(0)), values: z.array(z.number()) }),
});

const tokenSchema = z.strictObject({ id: tokenIdSchema, text: z.string() });
const logitSchema = z.strictObject({ ...alternativeSchema.shape, logit: z.number() });

export const attributionResultSchema = z.strictObject({
  model: z.strictObject({ id: z.string(), sha256: sha256Schema }),
  dictionary: z.strictObject({ id: z.string(), hook: z.string(), sha256: sha256Schema }),
  engine: z.strictObject({ name: z.string(), version: z.string(), dtype: z.string() }),
  prompt: z.strictObject({
    text: z.string(),
    images: z.array(z.strictObject({ sha256: sha256Schema, rows: z.number().int(), cols: z.number().int() })),
  }),
  positions: z.array(attributionPositionSchema),
  /** The whole answer; `text` is what each token adds to it, a marker's its name. */
  answer: z.array(tokenSchema),
  position: z.number().int(),
  /** The token that stands at `position`. */
  chosen: logitSchema,
  /** The likeliest at `position`, the chosen one too where it is among them. */
  alternatives: z.array(logitSchema),
  metric: z.strictObject({
    type: z.enum(["difference", "logit", "logprob"]),
    answer: tokenSchema.nullable(),
    baseline: tokenSchema.nullable(),
    from: z.number().int(),
    to: z.number().int(),
    value: z.number(),
  }),
  /** `withoutFeatures`: the metric at the other end of the way that `integrated` goes. */
  method: z.strictObject({ type: z.enum(["gradient", "integrated"]), steps: z.number().int(), withoutFeatures: z.number().nullable() }),
  totals: z.strictObject({
    /** g · h over all positions: `features` + `error` + `bias`. */
    whole: attributionPartsSchema,
    /** Of all active features, those that are not listed too. */
    features: attributionPartsSchema,
    /** What the dictionary does not explain of the states. */
    error: attributionPartsSchema,
    /** The dictionary's b_dec. */
    bias: attributionPartsSchema,
  }),
  /** Features active at any position. */
  active: z.number().int(),
  rows: z.array(attributionRowSchema),
  /** At each of `positions`, the contributions of all active features together. */
  sums: z.array(z.number()),
  timingsMs: z.strictObject({ queued: z.number(), states: z.number(), gradient: z.number() }),
});

/** A feature alone ablated wherever it is active: the metric before minus after, beside the estimate of the same. */
export const attributionEffectSchema = z.strictObject({ feature: featureIndexSchema, estimate: z.number(), effect: z.number() });

export const attributionEventSchema = z.discriminatedUnion("type", [
  /** Requests ahead of this one; 0 = next. Sent again when it changes. */
  z.strictObject({ type: z.literal("queued"), position: z.number().int() }),
  z.strictObject({ type: z.literal("result"), result: attributionResultSchema }),
  /** Features measured since the last such event; `done` of `total` are. */
  z.strictObject({
    type: z.literal("measured"),
    effects: z.array(attributionEffectSchema),
    done: z.number().int(),
    total: z.number().int(),
  }),
  /** Behind the last effect: Spearman's rank correlation of estimates and effects over the `n` measured features; null for fewer than three. */
  z.strictObject({ type: z.literal("agreement"), n: z.number().int(), rankCorrelation: z.number().nullable() }),
  z.strictObject({ type: z.literal("done") }),
  z.strictObject({
    type: z.literal("error"),
    error: z.strictObject({ code: z.enum(errorCodes), message: z.string(), fix: z.string(), retry: z.boolean() }),
  }),
]);

export type AttributionControl = z.infer<typeof attributionControlSchema>;
export type AttributionMetric = z.infer<typeof attributionMetricSchema>;
export type AttributionRequest = z.infer<typeof attributionRequestSchema>;
export type AttributionRequestInput = z.input<typeof attributionRequestSchema>;
export type AttributionParts = z.infer<typeof attributionPartsSchema>;
export type AttributionPosition = z.infer<typeof attributionPositionSchema>;
export type AttributionRow = z.infer<typeof attributionRowSchema>;
export type AttributionResult = z.infer<typeof attributionResultSchema>;
export type AttributionEffect = z.infer<typeof attributionEffectSchema>;
export type AttributionEvent = z.infer<typeof attributionEventSchema>;
