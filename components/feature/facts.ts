/** A feature's numbers as sentences that a stranger can read. Pure. */
import { formatActivation, formatCount, formatPercent, formatRate } from "@/lib/core/format";
import type { Explanation, FeatureDetail, Score } from "@/lib/core/records";

export interface Fact {
  key: "density" | "share" | "max" | "spread";
  term: string;
  explains: string;
  lines: string[];
}

/** A percentage that no line break takes apart. */
const percent = (share: number) => formatPercent(share).replace(" ", "\u00a0");

/** "1 in 240 image tokens (0.42 %)"; above a half only the share, since "1 in 1.2" helps nobody. */
export function rateOf(share: number | null, noun: string): string {
  if (share === null) return `not measured on ${noun}`;
  if (share <= 0) return `on no ${noun.replace(/s$/, "")}`;
  return share > 0.5 ? `${percent(share)} of ${noun}` : `${formatRate(share)} ${noun} (${percent(share)})`;
}

export function facts(detail: FeatureDetail): Fact[] {
  const { feature, dictionary } = detail;
  const spread =
    feature.images === null
      ? ["not counted on pictures"]
      : feature.images > 0
        ? [
            `on ${formatCount(feature.images)} of ${formatCount(dictionary.counts.images)} pictures`,
            ...(detail.activeTokens === null ? [] : [`${formatCount(detail.activeTokens)} image tokens in all`]),
          ]
        : [`on none of ${formatCount(dictionary.counts.images)} pictures`];
  return [
    {
      key: "density",
      term: "Density",
      explains: "Share of tokens on which this feature is active.",
      lines: [rateOf(feature.density, "image tokens"), rateOf(feature.textDensity, "text tokens")],
    },
    { key: "spread", term: "Fires", explains: "Pictures and image tokens of the catalogue on which it is active.", lines: spread },
    {
      key: "share",
      term: "Image or text",
      explains: "Where its summed activation lies: on the picture's tokens or on words.",
      lines: [feature.imageShare === null && !feature.dead ? "not measured" : shareWords(feature.imageShare)],
    },
    {
      key: "max",
      term: "Maximum",
      explains:
        "Largest activation seen in the catalogue; the unit of strength when steering. Mean: over the tokens on which it is active.",
      lines: [
        formatActivation(feature.maxActivation) +
          (detail.meanActivation ? `, mean ${formatActivation(detail.meanActivation)} where active` : ""),
      ],
    },
  ];
}

export function shareWords(imageShare: number | null): string {
  if (imageShare === null) return "it never fires";
  if (imageShare >= 1) return "on pictures only";
  if (imageShare <= 0) return "on text only";
  return `${percent(imageShare)} on pictures, ${percent(1 - imageShare)} on text`;
}

export interface Health {
  key: "dead" | "always_on" | "sink" | "sound" | "unmeasured";
  tone: "good" | "warn" | "bad" | "neutral";
  name: string;
  text: string;
}

/** What is wrong with a feature, or that nothing is. At least one entry. */
export function health(detail: FeatureDetail): Health[] {
  const { feature, dictionary } = detail;
  if (feature.dead) {
    const where =
      feature.density === null ? "the texts that were looked at" : `${formatCount(dictionary.counts.images)} pictures and their texts`;
    return [{ key: "dead", tone: "bad", name: "Dead", text: `It fired on no token of ${where}.` }];
  }
  if (feature.density === null && feature.textDensity === null) {
    return [
      { key: "unmeasured", tone: "neutral", name: "Not measured", text: "The files of this dictionary do not say how often it fires." },
    ];
  }
  const found: Health[] = [];
  if (feature.alwaysOn) {
    const most = Math.max(feature.density ?? 0, feature.textDensity ?? 0);
    const where = (feature.density ?? 0) >= (feature.textDensity ?? 0) ? "image" : "text";
    found.push({
      key: "always_on",
      tone: "warn",
      name: "Always on",
      text: `Active on ${percent(most)} of ${where} tokens: it tells little about any one of them.`,
    });
  }
  if (feature.sink) {
    found.push({
      key: "sink",
      tone: "warn",
      name: "Sink",
      text: "Most of its activation falls on template tokens or a few fixed positions.",
    });
  }
  // Over texts alone other tools do not look for sinks.
  const text = feature.density === null ? "Neither dead nor always on." : "Neither dead, nor always on, nor a sink.";
  if (found.length === 0) found.push({ key: "sound", tone: "good", name: "Sound", text });
  return found;
}

/** The one that lists show first, then the others by date, failures last. */
export function orderExplanations(explanations: Explanation[]): Explanation[] {
  const rank = (explanation: Explanation) => (explanation.preferred ? 0 : explanation.text === null ? 2 : 1);
  return [...explanations].sort((a, b) => rank(a) - rank(b) || b.createdAt.localeCompare(a.createdAt) || a.id - b.id);
}

const methodWords: Record<string, { name: string; explains: string }> = {
  causal: { name: "Causal", explains: "The feature was clamped on a blank picture and the model was asked what it sees." },
  "top-images": { name: "Top images", explains: "The model was shown its top pictures with the active cells and asked what they share." },
  "top-places": {
    name: "Top images, by place",
    explains: "The model was asked what stands in its whole top pictures where it fires most.",
  },
  tokens: { name: "Tokens", explains: "Named after the token on which its strongest texts peak." },
  human: { name: "Written by hand", explains: "A person wrote it." },
};

export function methodOf(method: string): { name: string; explains: string | null } {
  return methodWords[method] ?? { name: method, explains: null };
}

const scoreWords: Record<string, { name: string; explains: string }> = {
  iou: { name: "IoU", explains: "Overlap of where it fires with where the named thing is: intersection over union of the two masks." },
  steer: { name: "Steering", explains: "How often the model names the label when the feature is clamped." },
  clip: { name: "CLIP", explains: "Similarity of the explanation to the top pictures." },
  consistency: { name: "Consistency", explains: "How often a judge says that the explanation fits the top pictures." },
  detection: { name: "Detection", explains: "How well the explanation tells pictures on which it fires from others: half is chance." },
  monosemanticity: { name: "Monosemanticity", explains: "How alike the pictures are on which it fires." },
};

export function scoreName(metric: string): { name: string; explains: string | null } {
  return scoreWords[metric] ?? { name: metric, explains: null };
}

/** What a bar of a score ends at: CLIP scores go to 100, the others are shares. */
export function scoreScale(metric: string): number {
  return metric === "clip" ? 100 : 1;
}

/** How a score stands against random features. A difference under .05 is none worth a word. */
export function againstRandom(score: Pick<Score, "value" | "baseline">): "above" | "level" | "below" | null {
  if (score.value === null || score.baseline === null) return null;
  const difference = score.value - score.baseline;
  if (Math.abs(difference) < 0.05) return "level";
  return difference > 0 ? "above" : "below";
}

/** The day of an ISO 8601 instant in UTC, the same on server and client. */
export function dayOf(instant: string): string {
  return instant.slice(0, 10);
}

/** One sentence for titles and link previews. */
export function summarise(detail: FeatureDetail): { title: string; description: string } {
  const { feature, dictionary } = detail;
  const name = feature.label ?? (feature.dead ? "dead feature" : "unexplained feature");
  const shown = detail.explanations.find((explanation) => explanation.preferred)?.text;
  const where = `Feature ${formatCount(feature.index)} of ${dictionary.id} in ${dictionary.model.name}`;
  const density = feature.dead
    ? "It never fires"
    : `It fires on ${feature.density === null && feature.textDensity !== null ? rateOf(feature.textDensity, "text tokens") : rateOf(feature.density, "image tokens")}`;
  const sentences = [shown && shown !== name ? shown : null, where, density].filter((text) => text !== null);
  return {
    title: `${name} · #${feature.index}`,
    description: sentences.map((text) => (/[.!?]$/.test(text) ? text : `${text}.`)).join(" "),
  };
}
