/** The committed stories over the real engine: each run again gives the same, and without its clamp the answer is the model's own. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Model } from "@/bench/stories/model";
import { armText, type RecordedEvent, receiptsOf } from "@/lib/core/experiment";
import { plainAnswer } from "@/lib/core/mend";
import { compareRuns } from "@/lib/core/replay";
import { type Story, storyKinds } from "@/lib/core/story";
import { readStories } from "@/lib/formats/stories";

let model: Model;
const stories = (await readStories("demo/bundle"))?.stories ?? [];

beforeAll(async () => {
  model = await Model.open();
});
afterAll(() => model?.close());

const dictionaryOf = ({ run }: Story) => {
  const dictionary = model.dictionaries.find(({ ref }) => ref === run.request.dictionary);
  if (!dictionary) throw new Error(`The bundle has no ${run.request.dictionary}.`);
  return dictionary;
};

it("are one of each kind", () => {
  expect(stories.map(({ kind }) => kind)).toEqual([...storyKinds]);
});

describe.each(stories.map((story) => ({ kind: story.kind, story })))("$kind", ({ story }) => {
  const saved = story.run.events as RecordedEvent[];

  it("replays: every answer token for token, and every receipt but for its times", async () => {
    const now = await model.run(dictionaryOf(story), story.run.request);
    expect(compareRuns(saved, now)).toMatchObject({ sameTokens: true, missing: [], hashes: [], differing: [] });
    expect(compareRuns(saved, now).probabilityGap).toBeLessThan(1e-3);
    const counted = (events: RecordedEvent[]) =>
      receiptsOf(events).map(({ arm, outcome, text, prefill, decode, clamps, model: { sha256 }, dictionary }) => ({
        arm,
        outcome,
        text,
        prefill,
        decode,
        clamps: clamps.map(({ feature, op, value, image, prompt, generated }) => ({ feature, op, value, image, prompt, generated })),
        sha256,
        dictionary,
      }));
    expect(counted(now)).toEqual(counted(saved));
    const texts = (["baseline", "steered", "random"] as const).map((arm) => plainAnswer(armText(now, arm) ?? ""));
    expect(texts).toEqual([story.before, story.after, story.before]);
  });

  it("needs its clamp", async () => {
    const now = await model.run(dictionaryOf(story), { ...story.run.request, interventions: [], controls: [] });
    expect(plainAnswer(armText(now, "steered") ?? "")).toBe(story.before);
    expect(story.before).not.toBe(story.after);
  });

  it("is traced to the feature that it tells of, with the numbers that it tells", async () => {
    const { trace, cause, question, picture } = story;
    const { result, effects } = await model.attribute(dictionaryOf(story), picture, question, { exact: 0, measure: [cause.feature] });
    const rank = result.rows.findIndex(({ feature }) => feature === cause.feature);
    expect(rank + 1).toBe(cause.rank);
    expect(result.rows[rank]?.estimate).toBeCloseTo(cause.estimate, 2);
    expect(effects.get(cause.feature)).toBeCloseTo(cause.effect, 2);
    expect(result.metric.value).toBeCloseTo(trace.value, 2);
    expect([result.metric.answer?.text.trim(), result.metric.baseline?.text.trim()]).toEqual([trace.answer, trace.against]);
    const dictionary = dictionaryOf(story);
    expect(dictionary.labels.get(cause.feature)).toBe(cause.label);
    expect(model.pictures.find(({ sha256 }) => sha256 === picture)?.caption).toBe(story.truth);
  });
});
