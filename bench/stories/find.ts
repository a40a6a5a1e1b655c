/** The three searches. Each tries what its rule says, in the catalogue's order, counts what is left after every step, and gives the best case. */
import { armText, type RecordedEvent, receiptsOf } from "@/lib/core/experiment";
import { plainAnswer } from "@/lib/core/mend";
import { generateRequestSchema, type Intervention } from "@/lib/core/protocol";
import type { Story } from "@/lib/core/story";
import { asking, type Dictionary, type Model, type Picture, withArticle } from "./model";

const never = new AbortController().signal;
/** How many of the cases that qualify are asked what their clamp costs. */
const weighed = 12;
/** A random feature that is changed by the same norm must leave the answer, and the new word under this probability. */
const mostByChance = 0.1;

interface Case {
  dictionary: Dictionary;
  picture: Picture;
  question: string;
  before: string;
  after: string;
  clamp: Intervention;
  trace: Story["trace"];
  cause: Story["cause"];
  /** Ranks the cases before the panel is asked: the greater the better. */
  margin: number;
}

/** What each step of a search left; printed as it goes. */
class Counts {
  readonly steps: Story["search"]["steps"] = [];
  add(what: string, n: number) {
    this.steps.push({ what, n });
    console.log(`  ${what}: ${n}`);
  }
}

/** The feature of one of these names that says most for the answer among the first twenty, with what removing it takes. */
function causeAmong(
  { result, effects }: Awaited<ReturnType<Model["attribute"]>>,
  dictionary: Dictionary,
  named: (label: string) => boolean,
) {
  const rows = result.rows.slice(0, 20);
  const found = rows.flatMap(({ feature, estimate }, i) => {
    const label = dictionary.labels.get(feature) ?? "";
    const effect = effects.get(feature) ?? 0;
    return named(label) && estimate > 0 && effect > 0 ? [{ feature, label, rank: i + 1, estimate, effect }] : [];
  });
  return found.sort((a, b) => b.effect - a.effect)[0];
}

const traceOf = ({ result }: Awaited<ReturnType<Model["attribute"]>>): Story["trace"] => ({
  answer: result.metric.answer?.text.trim() ?? "",
  against: result.metric.baseline?.text.trim() ?? "",
  value: result.metric.value,
  active: result.active,
});

const panelOf = (kind: Story["kind"]) =>
  kind === "emotion" ? { except: /feel/, leftOut: "those about a face's feeling" } : { except: /^$/, leftOut: "" };

/** Of the cases with the greatest margins the one whose clamp changes the fewest answers of the panel, then that with the greatest margin, as a story. */
async function best(model: Model, kind: Story["kind"], cases: Case[], counts: Counts, rule: string): Promise<Story> {
  const first = cases.sort((a, b) => b.margin - a.margin).slice(0, weighed);
  counts.add(`asked what their clamp costs, the first by margin`, first.length);
  const { except, leftOut } = panelOf(kind);
  const costed: { one: Case; panel: { changed: number; of: number } }[] = [];
  for (const one of first) costed.push({ one, panel: await model.harm(one.dictionary, [one.clamp], except) });
  counts.add("of these, clamps that change no answer of the panel", costed.filter(({ panel }) => panel.changed === 0).length);
  costed.sort((a, b) => a.panel.changed - b.panel.changed || b.one.margin - a.one.margin);
  for (const { one, panel } of costed) {
    const { dictionary, picture, question, before, after, clamp, trace, cause } = one;
    const request = generateRequestSchema.parse({
      dictionary: dictionary.ref,
      messages: asking(picture.sha256, question),
      interventions: [clamp],
      controls: ["baseline", "random"],
      sampling: { maxTokens: 16 },
      watch: [before, after],
      activeFeatures: 6,
    });
    const events = await model.run(dictionary, request);
    const chance = {
      before: begins(events, "baseline", after),
      after: begins(events, "steered", after),
      random: begins(events, "random", after),
    };
    if (plainAnswer(armText(events, "random") ?? "") !== before || chance.random > mostByChance) continue;
    counts.add("chosen: of those with the least cost, the greatest margin whose random control leaves the answer as it was", 1);
    return {
      kind,
      truth: picture.caption,
      picture: picture.sha256,
      question,
      before,
      after,
      token: 0,
      trace,
      cause,
      clamped: { feature: clamp.feature, label: dictionary.labels.get(clamp.feature) ?? "" },
      chance,
      panel: { ...panel, leftOut },
      search: { rule, steps: counts.steps },
      run: { request, events },
    };
  }
  throw new Error(`No case of "${kind}" is left.`);
}

/** Probability that an arm's answer begins with a watched word. */
function begins(events: readonly RecordedEvent[], arm: "baseline" | "steered" | "random", word: string): number {
  const receipt = receiptsOf(events).find((one) => one.arm === arm);
  return Math.exp(receipt?.watched?.find((one) => one.word === word)?.first ?? Number.NEGATIVE_INFINITY);
}

const removal = (feature: number): Intervention => ({ feature, op: "ablate", value: 0, unit: "max", scope: { type: "all" } });

/** Wrong yeses, each attributed in every dictionary: those that go with the removal of one feature whose name is the claimed thing or word. */
async function removable(
  model: Model,
  wrong: { picture: Picture; question: string; dictionary?: Dictionary; named: (label: string) => boolean }[],
) {
  const cases: Case[] = [];
  let found = 0;
  for (const { picture, question, named, dictionary: only } of wrong) {
    for (const dictionary of only ? [only] : model.dictionaries) {
      const told = await model.attribute(dictionary, picture.sha256, question);
      const trace = traceOf(told);
      const cause = causeAmong(told, dictionary, named);
      if (!cause) continue;
      found += 1;
      if (trace.against === "no" && cause.effect > trace.value) {
        const clamp = removal(cause.feature);
        cases.push({ dictionary, picture, question, before: "yes", after: "no", clamp, trace, cause, margin: cause.effect - trace.value });
      }
    }
  }
  return { cases, found };
}

/** Asks about absent things whose own feature fires on the picture. */
export async function hallucination(model: Model, pictures: number): Promise<Story> {
  const counts = new Counts();
  const phrases = new Set(model.pictures.flatMap(({ things }) => things));
  const wrong: Parameters<typeof removable>[1] = [];
  let asked = 0;
  for (const picture of model.pictures.slice(0, pictures)) {
    for (const dictionary of model.dictionaries) {
      const image = { sha256: picture.sha256 };
      const { features } = await dictionary.engine.features(
        { dictionary: dictionary.ref, image, limit: 512 },
        { signal: never, resolveImage: model.resolveImage },
      );
      const written = picture.things.map((thing) => /^sign that says (.+)$/.exec(thing)?.[1]);
      const absent = features
        .map(({ index, peak }) => ({ thing: dictionary.labels.get(index) ?? "", share: peak / (dictionary.maxima[index] || 1) }))
        .filter(
          ({ thing }) => phrases.has(thing) && !picture.things.includes(thing) && !written.includes(thing) && !thing.startsWith("sign"),
        );
      const [strongest] = absent.sort((a, b) => b.share - a.share);
      if (!strongest) continue;
      asked += 1;
      const question = `Is there ${withArticle(strongest.thing)}?`;
      if ((await model.answer(picture.sha256, question)) !== "yes") continue;
      wrong.push({ picture, question, dictionary, named: (label) => label === strongest.thing });
    }
  }
  counts.add(
    `questions, “Is there a …?” of the absent thing whose feature fires most on each of the catalogue's first ${pictures} pictures, by either dictionary`,
    asked,
  );
  counts.add("answered “yes”, wrongly", wrong.length);
  const { cases, found } = await removable(model, wrong);
  counts.add("traced to a feature of the claimed thing among the twenty largest contributions", found);
  counts.add("answered “no”, rightly, once that one feature is removed", cases.length);
  const rule =
    "A thing that is not there, claimed; the trace's first twenty features hold that thing's own; removing it alone, everywhere, mends the answer. Margin: by how much the removal turns the difference of the logits.";
  return best(model, "hallucination", cases, counts, rule);
}

const signWord = (thing: string) => /^sign that says (.+)$/.exec(thing)?.[1];

/** Asks for the thing whose name a sign bears and that is not drawn. */
export async function written(model: Model): Promise<Story> {
  const counts = new Counts();
  const drawn = new Set(model.pictures.flatMap(({ things }) => things));
  const signs = model.pictures.flatMap((picture) => {
    const word = picture.things.flatMap((thing) => signWord(thing) ?? [])[0];
    return word && drawn.has(word) && !picture.things.includes(word) ? [{ picture, word }] : [];
  });
  const words = [...new Set(signs.map(({ word }) => word))].sort();
  const wrong: Parameters<typeof removable>[1] = [];
  let control = 0;
  for (const { picture, word } of signs) {
    const question = `Is there ${withArticle(word)}?`;
    if ((await model.answer(picture.sha256, question)) === "yes") {
      wrong.push({ picture, question, named: (label) => label === `sign that says ${word}` });
    }
    const other = words[(words.indexOf(word) + 1) % words.length] as string;
    if (!picture.things.includes(other) && (await model.answer(picture.sha256, `Is there ${withArticle(other)}?`)) === "yes") control += 1;
  }
  counts.add(
    "questions, “Is there a …?” of the thing that a sign names and that is not drawn, on every such picture of the catalogue",
    signs.length,
  );
  counts.add("answered “yes”, wrongly", wrong.length);
  counts.add("answered “yes” where the same pictures are asked for another of these words, which no sign of theirs bears", control);
  const { cases, found } = await removable(model, wrong);
  counts.add("traced, in either dictionary, to the feature of the written word among the twenty largest contributions", found);
  counts.add("answered “no”, rightly, once that one feature is removed", cases.length);
  const rule =
    "A sign names a thing that is not drawn, and the model says that the thing is there; the trace's first twenty features hold that of the sign's word; removing it alone, everywhere, mends the answer. Margin: by how much the removal turns the difference of the logits.";
  return best(model, "written", cases, counts, rule);
}

const feeling = (thing: string) => /^(\S+) face$/.exec(thing)?.[1];

/** Turns one emotion into another by setting one feature on the picture. */
export async function emotion(model: Model): Promise<Story> {
  const counts = new Counts();
  const question = "How does the face feel?";
  const faces = model.pictures.filter(({ things }) => things.filter(feeling).length === 1);
  const emotions = [...new Set(faces.flatMap(({ things }) => things.flatMap((thing) => feeling(thing) ?? [])))].sort();
  const of = (word: string) => faces.find(({ things }) => things.includes(`${word} face`)) as Picture;
  const strengths = [1, 2];
  let tried = 0;
  let turned = 0;
  const cases: Case[] = [];
  const traces = new Map<string, Awaited<ReturnType<Model["attribute"]>>>();
  for (const dictionary of model.dictionaries) {
    for (const [feature, label] of dictionary.labels) {
      const to = feeling(label);
      if (!to || !emotions.includes(to)) continue;
      for (const from of emotions.filter((one) => one !== to)) {
        const picture = of(from);
        if ((await model.answer(picture.sha256, question)) !== from) continue;
        const key = `${dictionary.ref} ${from}`;
        const told = traces.get(key) ?? (await model.attribute(dictionary, picture.sha256, question));
        traces.set(key, told);
        const clamp: Intervention = { feature, op: "set", value: strengths[0] as number, unit: "max", scope: { type: "image" } };
        const request = {
          dictionary: dictionary.ref,
          messages: asking(picture.sha256, question),
          interventions: [clamp],
          controls: [],
          sweep: { clamp: 0, values: strengths.slice(1) },
          watch: [to],
          sampling: { maxTokens: 8 },
          alternatives: 0,
        };
        const events = await model.run(dictionary, request);
        tried += strengths.length;
        const arms = ["steered", ...strengths.slice(1).map((_, i) => `sweep:${i}` as const)] as const;
        const gentlest = arms.findIndex((arm) => plainAnswer(armText(events, arm) ?? "") === to);
        turned += arms.filter((arm) => plainAnswer(armText(events, arm) ?? "") === to).length;
        const cause = causeAmong(told, dictionary, (one) => one === `${from} face`);
        if (gentlest < 0 || !cause) continue;
        const receipt = receiptsOf(events).find((one) => one.arm === arms[gentlest]);
        const sure = Math.exp(receipt?.watched?.[0]?.first ?? Number.NEGATIVE_INFINITY);
        const value = strengths[gentlest] as number;
        cases.push({
          dictionary,
          picture,
          question,
          before: from,
          after: to,
          clamp: { ...clamp, value },
          trace: traceOf(told),
          cause,
          margin: sure - value,
        });
      }
    }
  }
  counts.add(
    `clamps: every feature whose name is a face's feeling, in either dictionary, set to ${strengths.join(" and ")} × its maximum on the picture, for the first picture of each other feeling`,
    tried,
  );
  counts.add("answered with the feature's feeling", turned);
  counts.add(
    "of these, the gentlest of each feature and picture, where the trace's first twenty features hold the shown feeling's own",
    cases.length,
  );
  const rule =
    "One feature set on the picture turns the feeling that the model answers into the feature's own; the trace of its first answer holds the shown feeling's feature among the first twenty. Margin: the gentler strength first, then the probability of the new word.";
  return best(model, "emotion", cases, counts, rule);
}
