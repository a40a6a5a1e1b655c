/**
 * How an engine is asked over HTTP: the bodies around a request of protocol.ts, with everything that the server at the other end cannot look up itself.
 * JSON Schema made from it (`npm run wire`) is what the Python worker validates against.
 */
import { z } from "zod";
import { attributionRequestSchema } from "./attribution";
import { errorTable } from "./errors";
import { analyseRequestSchema, armSchema, generateRequestSchema, limits, sha256Schema } from "./protocol";

/** Raised when either side would misread the other. */
export const wireProtocol = 1;

/** A picture's file. `sha256` is what receipts name; it need not be that of `data`, which may be the same pixels in another format. */
export const wireImageSchema = z.strictObject({
  sha256: sha256Schema,
  // Not zod's own base64, whose pattern is too slow, or too deep, for megabytes: whoever decodes it refuses what is none. No length either: the worker
  // bounds the whole body, and says so as `too_large`; a photograph without loss may be larger than the file that was uploaded.
  data: z.string(),
});

/** For tests and measurements; refused by a worker that was not started with `--taps`. */
export const wireTapSchema = z.strictObject({
  /** Adds a line for each pass of the hook. */
  hidden: z.boolean().optional(),
  /** Adds a line for the logits of each token. */
  logits: z.boolean().optional(),
  /** By arm, tokens to write instead of the model's own choice; the arm stops at their end. */
  force: z.partialRecord(armSchema, z.array(z.number().int().min(0)).max(limits.maxTokens)).optional(),
});

/** `POST /v1/generate`. */
export const wireGenerateSchema = z.strictObject({
  protocol: z.literal(wireProtocol),
  request: generateRequestSchema,
  /** In the order in which the messages name them. */
  images: z.array(wireImageSchema).max(limits.messages * 16),
  /** By feature, its maximum activation over the catalogue; 0 where it never fired. */
  units: z.record(z.string().regex(/^\d{1,9}$/, "a feature's index"), z.number().min(0)),
  tap: wireTapSchema.optional(),
});

/** `POST /v1/features`. */
export const wireAnalyseSchema = z.strictObject({
  protocol: z.literal(wireProtocol),
  request: analyseRequestSchema,
  image: wireImageSchema,
});

/**
 * `POST /v1/activations`: which features fire on the prompt of some messages, images and words apart, over each whole and, where `perToken` is named,
 * at every position the strongest so many. For programs; the app asks `/v1/features`.
 */
export const wireActivationsSchema = z.strictObject({
  protocol: z.literal(wireProtocol),
  request: z.strictObject({
    dictionary: generateRequestSchema.shape.dictionary,
    version: generateRequestSchema.shape.version,
    messages: generateRequestSchema.shape.messages,
    limit: analyseRequestSchema.shape.limit,
    perToken: z.number().int().min(1).max(limits.analysed).optional(),
  }),
  images: wireGenerateSchema.shape.images,
});

/** `POST /v1/attribute`; `images` and `units` as for `/v1/generate`. */
export const wireAttributeSchema = z.strictObject({
  protocol: z.literal(wireProtocol),
  request: attributionRequestSchema,
  images: wireGenerateSchema.shape.images,
  units: wireGenerateSchema.shape.units,
});

/** Every file that the Python side reads, by its name: JSON Schema of the bodies with their defaults, and the table of errors. */
export function wireFiles(): Record<string, unknown> {
  const schemas = {
    "generate-request": generateRequestSchema,
    "analyse-request": analyseRequestSchema,
    "attribute-request": attributionRequestSchema,
    generate: wireGenerateSchema,
    analyse: wireAnalyseSchema,
    activations: wireActivationsSchema,
    attribute: wireAttributeSchema,
  };
  const files = Object.entries(schemas).map(([name, schema]) => [`${name}.schema.json`, z.toJSONSchema(schema, { io: "input" })]);
  return { ...Object.fromEntries(files), "errors.json": errorTable };
}
