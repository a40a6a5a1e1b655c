/**
 * A saved experiment: the request as it was sent (pictures by their hash) and what the engine streamed for it, kept by the server that ran it.
 * It is immutable; its id is made from its content.
 */
import { z } from "zod";
import { FacetError } from "./errors";
import {
  type EngineEvent,
  eventSchema,
  featureIndexSchema,
  type GenerateRequest,
  generateRequestSchema,
  type ImageRef,
  type Intervention,
  limits,
  opSchema,
  outcomeSchema,
  type Receipt,
  sha256Schema,
} from "./protocol";

export const experimentLimits = {
  title: 200,
  note: 4_000,
  /** What one run may take as JSON. More than all arms at their longest have; with every alternative and active feature asked for, not. */
  runBytes: 8 * 1024 * 1024,
  search: 200,
  page: 100,
} as const;

/** Of runs and of experiments alike: 80 bits, as 16 letters and digits that are not mistaken for each other. */
export const experimentIdSchema = z.string().regex(/^[a-z2-7]{16}$/, "16 of the letters a to z and digits 2 to 7");

/** What of a run is kept: all but the notices of its place in the line. */
export type RecordedEvent = Extract<EngineEvent, { type: "meta" | "token" | "receipt" }>;
export const recordedEventSchema = eventSchema.refine(({ type }) => isRecordedType(type), "meta, token or receipt");

const isRecordedType = (type: EngineEvent["type"]): type is RecordedEvent["type"] =>
  type === "meta" || type === "token" || type === "receipt";
export const isRecorded = (event: EngineEvent): event is RecordedEvent => isRecordedType(event.type);

const labelledClampSchema = z.strictObject({
  feature: featureIndexSchema,
  /** As the catalogue named it when it was saved. */
  label: z.string().nullable(),
  op: opSchema,
  value: z.number(),
  unit: z.enum(["max", "raw"]),
});
export type LabelledClamp = z.infer<typeof labelledClampSchema>;

/** What a list shows of an experiment. */
export const experimentSummarySchema = z.strictObject({
  id: experimentIdSchema,
  createdAt: z.string(),
  title: z.string(),
  note: z.string(),
  dictionary: z.string(),
  /** The last thing that was asked. */
  question: z.string(),
  /** SHA-256 of the first picture. */
  picture: sha256Schema.nullable(),
  clamps: z.array(labelledClampSchema),
  steered: z.string(),
  baseline: z.string().nullable(),
  outcome: outcomeSchema,
  arms: z.number().int(),
});
export type ExperimentSummary = z.infer<typeof experimentSummarySchema>;

export const experimentPictureSchema = z.strictObject({
  sha256: sha256Schema,
  mime: z.string(),
  width: z.number().int(),
  height: z.number().int(),
});
export type ExperimentPicture = z.infer<typeof experimentPictureSchema>;

export const experimentSchema = z.strictObject({
  ...experimentSummarySchema.shape,
  /** The run that was saved. */
  run: experimentIdSchema,
  request: generateRequestSchema,
  /** Every picture of the request, kept with it whatever becomes of the catalogue. */
  pictures: z.array(experimentPictureSchema),
  hashes: z.strictObject({
    model: z.strictObject({ id: z.string(), sha256: sha256Schema }),
    dictionary: z.strictObject({ id: z.string(), hook: z.string(), sha256: sha256Schema }),
  }),
  engine: z.strictObject({ name: z.string(), version: z.string(), dtype: z.string() }),
  /** What the engine streamed, in order. */
  events: z.array(recordedEventSchema),
});
export type Experiment = Omit<z.infer<typeof experimentSchema>, "events"> & { events: RecordedEvent[] };

export const saveExperimentSchema = z.strictObject({
  /** Id of the run, which `POST /api/steer` gives with `meta`. */
  run: experimentIdSchema,
  /** Empty: named by its clamps and its question. */
  title: z.string().trim().max(experimentLimits.title).default(""),
  note: z.string().trim().max(experimentLimits.note).default(""),
  /** The uploaded pictures of the request as data URLs; what the catalogue holds is taken from there. */
  pictures: z
    .array(
      z
        .string()
        .startsWith("data:image/")
        .max(Math.ceil((limits.uploadBytes * 4) / 3) + 64),
    )
    .max(16)
    .default([]),
});
export type SaveExperiment = z.infer<typeof saveExperimentSchema>;

/** The request's pictures in the order in which the model is given them. */
export function picturesOf(request: Pick<GenerateRequest, "messages">): ImageRef[] {
  return request.messages.flatMap(({ content }) => content.flatMap((part) => (part.type === "image" ? [part.image] : [])));
}

/** The request with a hash in place of each picture that was sent as bytes; `hashes` are of all its pictures, in their order. */
export function withHashes(request: GenerateRequest, hashes: readonly string[]): GenerateRequest {
  let next = 0;
  return {
    ...request,
    messages: request.messages.map(({ role, content }) => ({
      role,
      content: content.map((part) => {
        if (part.type !== "image") return part;
        const sha256 = hashes[next++];
        return "dataUrl" in part.image && sha256 ? { ...part, image: { sha256 } } : part;
      }),
    })),
  };
}

export const receiptsOf = (events: readonly EngineEvent[]): Receipt[] =>
  events.flatMap((event) => (event.type === "receipt" ? [event.receipt] : []));

/** The text of an arm, or null where it did not run. */
export function armText(events: readonly EngineEvent[], arm: Receipt["arm"]): string | null {
  return (
    receiptsOf(events)
      .find((receipt) => receipt.arm === arm)
      ?.text.trim() ?? null
  );
}

export function questionOf(request: Pick<GenerateRequest, "messages">): string {
  const last = request.messages.findLast(({ role }) => role === "user");
  return (last?.content ?? []).flatMap((part) => (part.type === "text" ? [part.text] : [])).join(" ");
}

/** Searched of one experiment, in characters. */
const searchedLength = 100_000;

/** All that a search looks through: title, note, the clamped features' names, the dictionary, what was asked and what was answered. */
export function searchedText({
  title,
  note,
  clamps,
  request,
  events,
}: Pick<ExperimentSummary, "title" | "note" | "clamps"> & { request: GenerateRequest; events: readonly EngineEvent[] }): string {
  const asked = request.messages.flatMap(({ content }) => content.flatMap((part) => (part.type === "text" ? [part.text] : [])));
  const named = clamps.map(({ feature, label }) => `#${feature} ${label ?? ""}`);
  const answers = receiptsOf(events).map(({ text }) => text);
  // No database takes a zero byte in a text.
  return [title, note, ...named, request.dictionary, ...asked, ...answers].join("\n").replaceAll("\0", " ").slice(0, searchedLength);
}

const same = (left: unknown, right: unknown): boolean => JSON.stringify(left) === JSON.stringify(right);
const clampKey = ({ feature, op, value, unit, scope }: Pick<Intervention, "feature" | "op" | "value" | "unit" | "scope">) => {
  return JSON.stringify([feature, op, op === "ablate" ? 0 : value, op === "ablate" ? "" : unit, scope]);
};

/**
 * Holds a run against its request: whether every arm has its receipt, and whether each receipt speaks of this dictionary, these clamps, pictures,
 * settings and tokens. Throws `receipt_mismatch`, naming the arm and what does not fit.
 */
export function checkReceipts(request: GenerateRequest, events: readonly RecordedEvent[]): void {
  const receipts = receiptsOf(events);
  const planned = events.flatMap((event) => (event.type === "meta" ? event.arms : []));
  const wrong = (arm: string, what: string) => {
    throw new FacetError("receipt_mismatch", `The receipt of the arm "${arm}" does not belong to this request: ${what}.`);
  };
  for (const arm of ["steered" as const, ...request.controls, ...planned]) {
    if (!receipts.some((receipt) => receipt.arm === arm)) wrong(arm, "there is none");
  }
  const pictures = picturesOf(request);
  const dictionary = request.dictionary.slice(request.dictionary.indexOf("/") + 1);
  for (const receipt of receipts) {
    const { arm } = receipt;
    if (receipt.dictionary.id !== dictionary) wrong(arm, `it is of the dictionary ${receipt.dictionary.id}`);
    if (request.version && !receipt.dictionary.sha256.startsWith(request.version)) wrong(arm, "it is of another version of the dictionary");
    if (receipt.mode !== request.mode) wrong(arm, `its mode is ${receipt.mode}`);
    if (!same(receipt.sampling, request.sampling)) wrong(arm, "its sampling is another");
    const { images } = receipt.prompt;
    if (images.length !== pictures.length || pictures.some((one, i) => "sha256" in one && one.sha256 !== images[i])) {
      wrong(arm, "its pictures are others");
    }
    if (arm === "steered" && !same(receipt.clamps.map(clampKey), request.interventions.map(clampKey))) wrong(arm, "its clamps are others");
    const tokens = events.flatMap((event) => (event.type === "token" && event.arm === arm ? [event.text] : []));
    if (tokens.length !== receipt.tokens || tokens.join("").trim() !== receipt.text.trim()) wrong(arm, "its text is not what was streamed");
  }
}

const numberFormat = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const formatStrength = (value: number) => numberFormat.format(value).replace("-", "−");

/** "a lemon set to 4 × max", "feature 12 removed". */
export function describeClamp({ feature, label, op, value, unit }: LabelledClamp): string {
  const name = label ?? `feature ${feature}`;
  const amount = `${formatStrength(Math.abs(value))}${unit === "max" ? " × max" : ""}`;
  if (op === "ablate") return `${name} removed`;
  if (op === "scale") return `${name} multiplied by ${formatStrength(value)}`;
  if (op === "add") return `${name} ${value < 0 ? "lowered" : "raised"} by ${amount}`;
  return `${name} set to ${value < 0 ? "−" : ""}${amount}`;
}

function cut(text: string, length: number): string {
  const characters = [...text];
  return characters.length > length
    ? `${characters
        .slice(0, length - 1)
        .join("")
        .trimEnd()}…`
    : text;
}

/** The name of an experiment that was given none. */
export function usualTitle(clamps: readonly LabelledClamp[], question: string): string {
  const [first, ...others] = clamps;
  if (!first) return cut(question.trim() || "Without a clamp", 100);
  const named = cut(describeClamp(first), 90);
  return others.length > 0 ? `${named}, and ${others.length} more` : named;
}
