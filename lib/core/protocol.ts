/**
 * The engine's wire contract. Every engine (onnx in this process, remote over HTTP, the browser's) and every client speaks exactly this;
 * JSON Schema made from it is what the Python worker validates against.
 */
import { z } from "zod";
import { errorCodes } from "./errors";

export const limits = {
  clamps: 64,
  maxTokens: 256,
  messages: 32,
  textLength: 8_000,
  /** Largest |strength| in units of a feature's own maximum (or of raw activation). */
  value: 1_000,
  sweepPoints: 16,
  watchedWords: 16,
  activeFeatures: 32,
  /** Features of one picture in an answer. */
  analysed: 512,
  uploadBytes: 12 * 1024 * 1024,
  /** A steering request's whole body: two uploads in base64 and room for the rest. */
  requestBytes: 33 * 1024 * 1024,
} as const;

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hexadecimal digits");
/** `<model>/<dictionary>`, e.g. `facet-emoji/model.layers.1`. */
export const dictionaryRefSchema = z.string().regex(/^[\w.-]+\/[\w.-]+$/, "<model>/<dictionary>");
export const featureIndexSchema = z.number().int().min(0);

const strengthSchema = z
  .number({ error: "a strength is a number" })
  .min(-limits.value, `a strength lies between -${limits.value} and ${limits.value}`)
  .max(limits.value, `a strength lies between -${limits.value} and ${limits.value}`);

/** An image of the catalogue by its hash, or the bytes of one as a data URL. */
export const imageRefSchema = z.union(
  [
    z.strictObject({ sha256: sha256Schema }),
    // A picture beyond `limits.uploadBytes` is refused as too large where its bytes are read; here it would only not fit.
    z.strictObject({
      dataUrl: z.string().startsWith("data:image/", "a picture's data URL begins with data:image/").max(limits.requestBytes),
    }),
  ],
  { error: "neither the sha256 of an image of the catalogue nor a dataUrl that begins with data:image/" },
);

export const contentPartSchema = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("text"),
    text: z.string().max(limits.textLength, `a text has at most ${limits.textLength} characters`),
  }),
  z.strictObject({ type: z.literal("image"), image: imageRefSchema }),
]);

export const messageSchema = z.strictObject({
  role: z.enum(["user", "assistant"]),
  content: z.array(contentPartSchema).min(1).max(16),
});

/**
 * Where a clamp acts. `image`, `prompt` and `generated` are disjoint: the image's positions, the prompt's other positions (words and
 * template), and the tokens generated so far; `all` is their union; `region` is some cells (row-major) of one image's grid.
 */
export const scopeSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.enum(["image", "prompt", "generated", "all"]) }),
  z.strictObject({
    type: z.literal("region"),
    image: z.number().int().min(0).default(0),
    cells: z.array(z.number().int().min(0).max(65_535)).min(1).max(4_096),
  }),
]);

export const opSchema = z.enum(["set", "scale", "add", "ablate"]);

/**
 * What replaces the feature's activation a: `set` v = value·unit; `scale` v = value·a; `add` v = a + value·unit; `ablate` v = 0.
 * `unit` is the feature's own maximum over the catalogue (`max`) or one raw activation (`raw`).
 */
export const interventionSchema = z.strictObject({
  feature: featureIndexSchema,
  op: opSchema.default("set"),
  value: strengthSchema.default(1),
  unit: z.enum(["max", "raw"]).default("max"),
  scope: scopeSchema.default({ type: "image" }),
});

export const samplingSchema = z.strictObject({
  maxTokens: z.number().int().min(1).max(limits.maxTokens).default(48),
  /** 0 is greedy. */
  temperature: z.number().min(0).max(5).default(0),
  topP: z.number().gt(0).max(1).default(1),
  seed: z.number().int().min(0).max(0xffff_ffff).default(0),
});

/** `delta` keeps the SAE's error term; `reconstruct` is the paper's: the SAE's output replaces the residual. */
export const modeSchema = z.enum(["delta", "reconstruct"]);
export const controlSchema = z.enum(["baseline", "reconstruction", "negated", "random"]);
/** Arms that a request has at most once. */
export const namedArmSchema = z.enum(["steered", ...controlSchema.options]);
/** Point `n` of the request's sweep, from 0. */
export const sweepArmSchema = z.string().regex(/^sweep:\d{1,2}$/, "sweep:<point>") as unknown as z.ZodType<
  `sweep:${number}`,
  `sweep:${number}`
>;
export const armSchema = z.union([namedArmSchema, sweepArmSchema]);

/**
 * One clamp at several strengths, an arm each (`sweep:0`, `sweep:1`, …, in the order of `values`); everything else of the request, the other clamps
 * too, is the same in each. The `steered` arm runs beside them with the clamp's own value.
 */
export const sweepSchema = z.strictObject({
  /** Index of the clamp in `interventions`; an ablation has no strength and is refused. */
  clamp: z
    .number()
    .int()
    .min(0)
    .max(limits.clamps - 1),
  /** What takes the place of the clamp's `value`, in its own unit. */
  values: z
    .array(strengthSchema)
    .min(1, "a sweep has at least one strength")
    .max(limits.sweepPoints, `a sweep has at most ${limits.sweepPoints} strengths`),
});

export const generateRequestSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  /** First 12 hexadecimal digits of the dictionary's hash; refused when the dictionary at hand is another. */
  version: z
    .string()
    .regex(/^[0-9a-f]{12}$/)
    .optional(),
  messages: z.array(messageSchema).min(1).max(limits.messages),
  sampling: samplingSchema.default(() => samplingSchema.parse({})),
  interventions: z.array(interventionSchema).max(limits.clamps, `a request takes at most ${limits.clamps} clamps`).default([]),
  mode: modeSchema.default("delta"),
  /** Arms beside `steered`. */
  controls: z.array(controlSchema).max(4).default(["baseline"]),
  sweep: sweepSchema.optional(),
  /** How many alternatives each token event carries (0 = none). */
  alternatives: z.number().int().min(0).max(10).default(5),
  /** Words whose probability each token event gives (see `watchedWordSchema`); one that the model has no token for is refused. */
  watch: z.array(z.string().trim().min(1).max(64)).max(limits.watchedWords).optional(),
  /** How many of the dictionary's features each token event gives that are active on the token (0 = none). */
  activeFeatures: z.number().int().min(0).max(limits.activeFeatures).optional(),
});

export type Scope = z.infer<typeof scopeSchema>;
export type Op = z.infer<typeof opSchema>;
export type Intervention = z.infer<typeof interventionSchema>;
export type Sampling = z.infer<typeof samplingSchema>;
export type Mode = z.infer<typeof modeSchema>;
export type Arm = z.infer<typeof armSchema>;
export type NamedArm = z.infer<typeof namedArmSchema>;
export type Sweep = z.infer<typeof sweepSchema>;
export type Message = z.infer<typeof messageSchema>;
export type ImageRef = z.infer<typeof imageRefSchema>;
export type GenerateRequest = z.infer<typeof generateRequestSchema>;
export type GenerateRequestInput = z.input<typeof generateRequestSchema>;

const countSchema = z.strictObject({
  /** Positions that the scopes of all clamps cover. */
  planned: z.number().int(),
  /** Positions whose hidden state really was changed, counted where the change is made. */
  changed: z.number().int(),
});

/** What one clamp did, over every position it covered. */
export const clampReceiptSchema = z.strictObject({
  feature: featureIndexSchema,
  op: opSchema,
  /** The value as asked, and its unit in raw activation (1 for `raw`). */
  value: z.number(),
  unit: z.enum(["max", "raw"]),
  unitActivation: z.number(),
  scope: scopeSchema,
  image: countSchema,
  prompt: countSchema,
  generated: countSchema,
  /** Mean activation over the planned positions, before and as requested. */
  meanBefore: z.number(),
  meanAfter: z.number(),
  /**
   * The same mean as the encoder finds it in the changed states: other clamps, and a dictionary whose rows are not orthogonal, make it
   * another than was requested. Null where the clamp covered no position.
   */
  meanReencoded: z.number().nullable().optional(),
});

/** A watched word over one arm's answer. */
export const watchedReceiptSchema = z.strictObject({
  word: z.string(),
  /** Log-probability that the answer begins with the word; comparable over arms, since none has written anything yet. */
  first: z.number(),
  /** The largest over all places of the answer as this arm wrote it, its end included, and that place (0 = the first token). */
  peak: z.number(),
  peakAt: z.number().int(),
});

export const outcomeSchema = z.enum(["steered", "unchanged", "baseline", "reconstruction"]);

export const receiptSchema = z.strictObject({
  arm: armSchema,
  outcome: outcomeSchema,
  /** Why, when `unchanged`. */
  reason: z.string().nullable(),
  text: z.string(),
  finish: z.enum(["stop", "length", "cancelled"]),
  model: z.strictObject({ id: z.string(), sha256: sha256Schema }),
  dictionary: z.strictObject({ id: z.string(), hook: z.string(), sha256: sha256Schema }),
  /** As the model was given it: one marker an image, and the SHA-256 of each image's file in that order. */
  prompt: z.strictObject({ text: z.string(), images: z.array(sha256Schema) }),
  mode: modeSchema,
  sampling: samplingSchema,
  clamps: z.array(clampReceiptSchema),
  /** Of an arm `sweep:<point>`: which clamp had which value. */
  sweep: z.strictObject({ point: z.number().int(), clamp: z.number().int(), value: z.number() }).optional(),
  /** In the order of the request's `watch`; empty for an arm that was stopped before its first token. */
  watched: z.array(watchedReceiptSchema).optional(),
  /**
   * How far the first token's distribution is from the baseline's: half the sum of absolute differences of probability (total variation), from 0
   * (the same) to 1 (nothing in common). Null where no baseline runs or either arm was stopped before its first token.
   */
  fromBaseline: z.number().nullable().optional(),
  prefill: z.strictObject({ image: countSchema, text: countSchema }),
  decode: countSchema,
  /** Mean over the changed positions of ‖Δ‖/‖h‖; null when none was changed. */
  relativeNorm: z.number().nullable(),
  tokens: z.number().int(),
  engine: z.strictObject({ name: z.string(), version: z.string(), dtype: z.string() }),
  timingsMs: z.strictObject({ queued: z.number(), prefill: z.number(), decode: z.number() }),
});

export const promptTokenSchema = z.strictObject({
  text: z.string(),
  kind: z.enum(["image", "text", "template"]),
});

export const alternativeSchema = z.strictObject({ id: z.number().int(), text: z.string(), logprob: z.number() });

/**
 * How a watched word can begin: `ids` are the first token of the word as it begins an answer and as it follows a space (one id where these are
 * the same). Its probability at a place is theirs together. `whole` says whether one token is the whole word; where it is not, other words may
 * begin with the same token.
 */
export const watchedWordSchema = z.strictObject({
  word: z.string(),
  ids: z.array(z.number().int()).min(1),
  whole: z.boolean(),
});

/**
 * A feature on a generated token: its activation in the model's own state at the hook, and as the encoder finds it in what the upper half is given
 * (the same where no clamp acts).
 */
export const activeFeatureSchema = z.strictObject({ index: featureIndexSchema, before: z.number(), after: z.number() });

export const eventSchema = z.discriminatedUnion("type", [
  /** Requests ahead of this one; 0 = next. Sent again when it changes. */
  z.strictObject({ type: z.literal("queued"), position: z.number().int() }),
  z.strictObject({
    type: z.literal("meta"),
    arms: z.array(armSchema),
    /** Runs of image tokens are folded into one entry a grid. */
    prompt: z.strictObject({
      text: z.string(),
      imageTokens: z.number().int(),
      textTokens: z.number().int(),
      /** Words that the model has no token for, and so cannot read. */
      unknown: z.array(z.string()).optional(),
    }),
    engine: z.strictObject({ name: z.string(), version: z.string(), dtype: z.string() }),
    /** The server's name for this run, under which it can be saved as an experiment; an engine by itself gives none. */
    run: z
      .string()
      .regex(/^[a-z2-7]{16}$/)
      .optional(),
    /** The request's `watch`, in its order. */
    watch: z.array(watchedWordSchema).optional(),
  }),
  z.strictObject({
    type: z.literal("token"),
    arm: armSchema,
    /** Position among the generated tokens, from 0. */
    i: z.number().int(),
    id: z.number().int(),
    /** What this token adds to the text, with its leading space. */
    text: z.string(),
    logprob: z.number(),
    alternatives: z.array(alternativeSchema),
    /** Log-probability of each watched word at this place, in the order of `watch`; -1e9 stands for none at all. */
    watched: z.array(z.number()).optional(),
    /** Strongest first, by the larger of the two activations. Only where the request asks for some. */
    features: z.array(activeFeatureSchema).optional(),
  }),
  z.strictObject({ type: z.literal("receipt"), receipt: receiptSchema }),
  z.strictObject({ type: z.literal("done") }),
  z.strictObject({
    type: z.literal("error"),
    error: z.strictObject({ code: z.enum(errorCodes), message: z.string(), fix: z.string(), retry: z.boolean() }),
  }),
]);

export type ClampReceipt = z.infer<typeof clampReceiptSchema>;
export type Receipt = z.infer<typeof receiptSchema>;
export type EngineEvent = z.infer<typeof eventSchema>;
export type Alternative = z.infer<typeof alternativeSchema>;
export type WatchedWord = z.infer<typeof watchedWordSchema>;
export type ActiveFeature = z.infer<typeof activeFeatureSchema>;

/** `features`: which features fire on an image, position by position. */
export const analyseRequestSchema = z.strictObject({
  dictionary: dictionaryRefSchema,
  image: imageRefSchema,
  /** How many features to return, strongest mean first. */
  limit: z.number().int().min(1).max(limits.analysed).default(128),
});
export type AnalyseRequest = z.infer<typeof analyseRequestSchema>;
