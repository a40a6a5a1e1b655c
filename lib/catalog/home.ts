/** What the home page points at. */
import { formatPercent, formatRate, formatScore } from "@/lib/core/format";
import type { Concept, Dictionary, FeatureCard } from "@/lib/core/records";

export interface Highlight {
  dictionary: Dictionary;
  card: FeatureCard;
  /** Why to open it, with the number that says so. */
  reason: string;
}

/** Concept classes that surprise, the more the later. */
const curious: readonly Concept[] = ["position", "colour", "material", "texture", "scene", "part", "action", "text", "emotion"];

interface Candidate {
  dictionary: Dictionary;
  card: FeatureCard;
}

/**
 * Up to three different features among the dictionaries' examples: the object whose mask fits its label best, the one that steers best, and
 * one that is no thing at all. Where nothing was scored, the ones that fire on most pictures.
 */
export function pickHighlights(dictionaries: readonly Dictionary[]): Highlight[] {
  const candidates = dictionaries.flatMap((dictionary) =>
    dictionary.examples.filter((card) => card.label && card.top.length > 0).map((card): Candidate => ({ dictionary, card })),
  );
  const chosen: Highlight[] = [];
  const take = (merit: (card: FeatureCard) => number | null, reason: (card: FeatureCard) => string) => {
    let best: Candidate | null = null;
    for (const candidate of candidates) {
      const value = merit(candidate.card);
      if (value === null || chosen.some(({ card }) => card === candidate.card || card.label === candidate.card.label)) continue;
      // A dictionary whose model runs here goes first: its features can be tried.
      const ready = candidate.dictionary.engine === "ready" ? 1 : 0;
      const bestReady = best?.dictionary.engine === "ready" ? 1 : 0;
      if (!best || ready > bestReady || (ready === bestReady && value > (merit(best.card) ?? 0))) best = candidate;
    }
    if (best && chosen.length < 3) chosen.push({ ...best, reason: reason(best.card) });
  };
  const anyObject = candidates.some(({ card }) => card.concept === "object" && card.iou !== null);
  take(
    (card) => (anyObject && card.concept !== "object" ? null : card.iou),
    (card) => `Its heat covers what the label names, and little else: IoU ${formatScore(card.iou)}, where 1 is exact.`,
  );
  take(
    (card) => card.steer,
    (card) => `Turn it up and the model says its name in ${formatPercent(card.steer)} of the trials.`,
  );
  take(
    (card) => {
      const rank = card.concept ? curious.indexOf(card.concept) : -1;
      return rank < 0 ? null : rank + ((card.iou ?? 0) + (card.steer ?? 0)) / 3;
    },
    (card) =>
      `Not a thing but ${card.concept === "emotion" ? "an" : "a"} ${card.concept}: active on ${formatRate(card.density)} image tokens.`,
  );
  while (chosen.length < 3) {
    const before = chosen.length;
    take(
      (card) => card.images,
      (card) => `Fires on ${card.images} pictures: active on ${formatRate(card.density)} image tokens.`,
    );
    if (chosen.length === before) break;
  }
  return chosen;
}

/** Up to `count` searches worth trying: short labels of different concept classes, those that the page does not name already first. */
export function pickSearches(dictionary: Dictionary, named: readonly FeatureCard[] = [], count = 3): string[] {
  const short = dictionary.examples.filter((card) => card.label && card.label.length <= 24);
  const isNamed = (card: FeatureCard) => named.some((other) => other.label === card.label);
  const left = [...short.filter((card) => !isNamed(card)), ...short.filter(isNamed)];
  const picked: FeatureCard[] = [];
  while (picked.length < count && left.length > 0) {
    const fresh = left.findIndex((card) => picked.every((other) => other.concept !== card.concept));
    picked.push(...left.splice(Math.max(0, fresh), 1));
  }
  return picked.map((card) => card.label as string);
}
