/** The HTTP API described in OpenAPI 3.1, made from the same schemas that check its inputs and answers. */
import { z } from "zod";
import { attributionEventSchema, attributionRequestSchema } from "@/lib/core/attribution";
import { enginePackageSchema } from "@/lib/core/engine-package";
import { experimentSchema, experimentSummarySchema, saveExperimentSchema } from "@/lib/core/experiment";
import { defaultSort, queryLimits } from "@/lib/core/feature-query";
import { analyseRequestSchema, dictionaryRefSchema, eventSchema, generateRequestSchema, sha256Schema } from "@/lib/core/protocol";
import {
  analysisSchema,
  conceptClasses,
  featureDetailSchema,
  featurePageSchema,
  flagKeys,
  histogramsSchema,
  imageInfoSchema,
  metricKeys,
  scoreKeys,
  sortKeys,
} from "@/lib/core/records";
import { dictionariesSchema } from "./dictionaries";
import { engineFileParamsSchema, engineQuerySchema, featureNamesSchema } from "./engine";
import { experimentPageSchema, experimentParamsSchema, experimentsQuerySchema } from "./experiments";
import { featureParamsSchema, featureQuerySchema } from "./feature";
import { traitsPageSchema, traitsQuerySchema } from "./feature-traits";
import { errorBodySchema } from "./fetch-json";
import { healthSchema } from "./health";
import { histogramsQuerySchema } from "./histograms";
import { imagePageSchema, imagesQuerySchema } from "./images";
import { regionPicturesQuerySchema, regionPicturesSchema } from "./region-pictures";

type Json = Record<string, unknown>;

interface Endpoint {
  method: "get" | "post";
  path: string;
  summary: string;
  params?: z.ZodObject;
  query?: z.ZodObject;
  body?: z.ZodType;
  /** Media type → schema; null = bytes. */
  answer: Record<string, z.ZodType | null>;
}

const text = z.string().optional();
const usual = defaultSort("");
const usualSort = `${usual.direction === "desc" ? "-" : ""}${usual.sort}`;
const sorts = sortKeys.flatMap((key) => (key === "relevance" ? [key] : [key, `-${key}`]));

/** The list's keys as `parseFeatureQuery` reads them. */
const featuresQuery = z.strictObject({
  dictionary: dictionaryRefSchema,
  v: text.describe("First 12 hexadecimal digits of a version's key, to list that one in place of the latest"),
  q: z
    .string()
    .max(queryLimits.text)
    .optional()
    .describe('#14, words, "a phrase", -without; typing mistakes are forgiven, and what means the same is found after the words'),
  sort: z
    .enum(sorts as [string, ...string[]])
    .optional()
    .describe(
      `A minus sorts from the greatest; features without the metric come last either way, dead ones after the rest. Without a sort: ${usualSort}, and relevance where there is a search`,
    ),
  concept: z
    .string()
    .optional()
    .describe(`Any of these, with commas between: ${conceptClasses.join(", ")}`),
  scored_by: text.describe(`Has a score by any of these, with commas between: ${scoreKeys.join(", ")}`),
  limit: z.number().int().min(1).max(queryLimits.page).default(queryLimits.defaultPage),
  cursor: text.describe("`next` or `previous` of a page"),
  ...Object.fromEntries(flagKeys.map((key) => [key, z.enum(["1", "0"]).optional()])),
  ...Object.fromEntries(metricKeys.flatMap((key) => [`${key}_min`, `${key}_max`]).map((key) => [key, z.number().optional()])),
});

const hash = z.strictObject({ sha256: sha256Schema });
const json = (schema: z.ZodType) => ({ "application/json": schema });

const endpoints: Endpoint[] = [
  { method: "get", path: "/api/health", summary: "Whether the server and its catalogue answer", answer: json(healthSchema) },
  {
    method: "get",
    path: "/api/dictionaries",
    summary: "Every dictionary in its latest version",
    answer: json(dictionariesSchema),
  },
  {
    method: "get",
    path: "/api/features",
    summary: "A page of feature cards: sorted, filtered, searched",
    query: featuresQuery,
    answer: json(featurePageSchema),
  },
  {
    method: "get",
    path: "/api/features.csv",
    summary: "The whole list as comma-separated values, streamed (docs/formats.md gives the columns)",
    query: featuresQuery.omit({ limit: true, cursor: true }),
    answer: { "text/csv": null },
  },
  {
    method: "get",
    path: "/api/features/{model}/{dictionary}/{index}",
    summary: "One feature with its examples, explanations, scores and neighbours",
    params: featureParamsSchema,
    query: featureQuerySchema,
    answer: json(featureDetailSchema),
  },
  {
    method: "get",
    path: "/api/features/{model}/{dictionary}/{index}/card",
    summary: "A picture of the feature for links to it, 1200 × 630",
    params: featureParamsSchema,
    answer: { "image/png": null },
  },
  {
    method: "get",
    path: "/api/histograms",
    summary: "How a dictionary's metrics are distributed over its features",
    query: histogramsQuerySchema,
    answer: json(histogramsSchema),
  },
  {
    method: "get",
    path: "/api/images",
    summary: "A page of the catalogue's images",
    query: imagesQuerySchema,
    answer: json(imagePageSchema),
  },
  {
    method: "get",
    path: "/api/images/{sha256}",
    summary: "An image's bytes, immutable",
    params: hash,
    answer: { "image/webp": null, "image/png": null, "image/jpeg": null },
  },
  { method: "get", path: "/api/images/{sha256}/info", summary: "What is known of an image", params: hash, answer: json(imageInfoSchema) },
  {
    method: "post",
    path: "/api/analyse",
    summary: "Which features fire on an image, position by position",
    body: analyseRequestSchema,
    answer: json(analysisSchema),
  },
  {
    method: "get",
    path: "/api/region-pictures",
    summary: "Pictures of the catalogue on which some features fire in a painted region, by their stored examples",
    query: regionPicturesQuerySchema,
    answer: json(regionPicturesSchema),
  },
  {
    method: "post",
    path: "/api/steer",
    summary: "Generate with features clamped; one event a line until done, with a receipt for each arm",
    body: generateRequestSchema,
    answer: { "application/x-ndjson": eventSchema },
  },
  {
    method: "post",
    path: "/api/attribute",
    summary:
      "Which features make a token of an answer what it is; one event a line until done: the estimates, then exact effects as they are measured",
    body: attributionRequestSchema,
    answer: { "application/x-ndjson": attributionEventSchema },
  },
  {
    method: "get",
    path: "/api/traits",
    summary: "Names and health of some features at once",
    query: traitsQuerySchema,
    answer: json(traitsPageSchema),
  },
  {
    method: "get",
    path: "/api/engine",
    summary:
      "The files by which a browser runs a dictionary's model by itself, each with its size and SHA-256; null where this server has none",
    query: engineQuerySchema,
    answer: json(enginePackageSchema.nullable()),
  },
  {
    method: "get",
    path: "/api/engine/names",
    summary: "What is shown of every feature of a dictionary beside its numbers, in one list, so that nobody need ask for some of them",
    query: engineQuerySchema,
    answer: json(featureNamesSchema),
  },
  {
    method: "get",
    path: "/api/engine/files/{sha256}/{name}",
    summary: "One of these files by its hash, whole or a range of it, immutable",
    params: engineFileParamsSchema,
    answer: { "application/octet-stream": null, "text/javascript": null, "application/wasm": null },
  },
  {
    method: "get",
    path: "/api/experiments",
    summary: "A page of saved experiments, the newest first",
    query: experimentsQuerySchema,
    answer: json(experimentPageSchema),
  },
  {
    method: "post",
    path: "/api/experiments",
    summary: "Save a run as this server's engine streamed it: 201, or 200 where it was saved so before",
    body: saveExperimentSchema,
    answer: json(experimentSummarySchema),
  },
  {
    method: "get",
    path: "/api/experiments/{id}",
    summary: "An experiment as it was saved: request, pictures by their hash, texts, receipts",
    params: experimentParamsSchema,
    answer: json(experimentSchema),
  },
  {
    method: "get",
    path: "/api/experiments/{id}/card",
    summary: "A picture of the experiment for links to it, 1200 × 630",
    params: experimentParamsSchema,
    answer: { "image/png": null },
  },
];

function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  return rest;
}

function parametersOf(schema: z.ZodObject | undefined, place: "path" | "query"): Json[] {
  if (!schema) return [];
  const { properties = {}, required = [] } = schemaOf(schema, "input") as { properties?: Record<string, Json>; required?: string[] };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    ...(typeof property.description === "string" ? { description: property.description } : {}),
    schema: property,
  }));
}

function operationOf(endpoint: Endpoint): Json {
  const content = Object.entries(endpoint.answer).map(([mime, schema]) => [mime, schema ? { schema: schemaOf(schema, "output") } : {}]);
  return {
    summary: endpoint.summary,
    parameters: [...parametersOf(endpoint.params, "path"), ...parametersOf(endpoint.query, "query")],
    ...(endpoint.body
      ? { requestBody: { required: true, content: { "application/json": { schema: schemaOf(endpoint.body, "input") } } } }
      : {}),
    responses: {
      200: { description: "Done", content: Object.fromEntries(content) },
      default: {
        description: "What went wrong and what to do",
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    },
  };
}

/** Path → method → operation: an address may be read and written. */
function pathsOf(all: readonly Endpoint[]): Json {
  const paths: Record<string, Json> = {};
  for (const endpoint of all) paths[endpoint.path] = { ...paths[endpoint.path], [endpoint.method]: operationOf(endpoint) };
  return paths;
}

let made: Json | undefined;

/** The whole document. */
export function openApiDocument(version: string): Json {
  made ??= {
    openapi: "3.1.0",
    info: {
      title: "Facet",
      version,
      description:
        "Features that sparse autoencoders find inside multimodal models: browse, search, steer. Unknown query keys are refused. GETs carry an ETag.",
    },
    paths: pathsOf(endpoints),
    components: { schemas: { Error: schemaOf(errorBodySchema, "output") } },
  };
  return made;
}

/** Keys of the list's query as described here; a test holds them to the parser's. */
export const describedFeatureKeys = Object.keys(featuresQuery.shape);
