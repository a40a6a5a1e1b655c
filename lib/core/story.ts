/**
 * A guided story: a real case of the catalogue's model, found by a search that is stated with it, and the run that shows it. A bundle may carry some
 * (`stories.json`); an import saves each run as an experiment, which anyone can replay.
 */
import { z } from "zod";
import { experimentIdSchema, recordedEventSchema } from "./experiment";
import { featureIndexSchema, generateRequestSchema, sha256Schema } from "./protocol";

export const storyKinds = ["emotion", "hallucination", "written"] as const;
export type StoryKind = (typeof storyKinds)[number];

const count = z.number().int().min(0);
const shareSchema = z.number().min(0).max(1);

/** What the search looked at: its rule in a sentence, and how many cases were left after each of its steps, the first being all that were tried. */
export const storySearchSchema = z.strictObject({
  rule: z.string().min(1),
  steps: z.array(z.strictObject({ what: z.string().min(1), n: count })).min(1),
});

export const storySchema = z.strictObject({
  kind: z.enum(storyKinds),
  /** What is drawn in the picture, in words, as it was made. */
  truth: z.string(),
  picture: sha256Schema,
  question: z.string().min(1),
  /** The model's own answer, and that under the clamps. */
  before: z.string().min(1),
  after: z.string().min(1),
  /** The answer's token that is traced. */
  token: count,
  /** What the trace compares: logit of the answer less that of the other word, and how many features were active. */
  trace: z.strictObject({ answer: z.string(), against: z.string(), value: z.number(), active: count }),
  /** The feature that the trace points at: its place in the ranking from 1, estimate and measured effect on the difference of the logits. */
  cause: z.strictObject({
    feature: featureIndexSchema,
    label: z.string(),
    rank: z.number().int().min(1),
    estimate: z.number(),
    effect: z.number(),
  }),
  /** The feature that is clamped; the same where the cause is removed. */
  clamped: z.strictObject({ feature: featureIndexSchema, label: z.string() }),
  /** Probability that the answer begins with the new word: by itself, under the clamps, and with a random feature changed by the same norm. */
  chance: z.strictObject({ before: shareSchema, after: shareSchema, random: shareSchema }),
  /** Answers of the fixed panel that the clamps change; `leftOut` says which of its questions were not asked. */
  panel: z.strictObject({ changed: count, of: count, leftOut: z.string() }),
  search: storySearchSchema,
  /** The run as the engine streamed it, saved as an experiment. */
  run: z.strictObject({ request: generateRequestSchema, events: z.array(recordedEventSchema).min(1) }),
});
export type Story = z.infer<typeof storySchema>;

export const storiesFileSchema = z.strictObject({
  format: z.literal("facet-stories/1"),
  /** What makes the file again. */
  command: z.string().min(1),
  stories: z.array(storySchema).max(12),
});
export type StoriesFile = z.infer<typeof storiesFileSchema>;

/** A story as the catalogue keeps it: its request here, what the engine streamed apart, in the experiment of that id. */
export const keptStorySchema = z.strictObject({
  ...storySchema.omit({ run: true }).shape,
  request: generateRequestSchema,
  experiment: experimentIdSchema,
  command: z.string(),
});
export type KeptStory = z.infer<typeof keptStorySchema>;
