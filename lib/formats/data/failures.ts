/** What other tools write where something failed. A failure is told apart here, so that none is shown as a text or counted as a number. */
import { type Concept, conceptClasses } from "@/lib/core/records";

/** Sentences that explainers leave in place of an explanation. */
const failures: [RegExp, string][] = [
  [/unable to produce descriptions?/i, "The explainer answered that it was unable to produce a description."],
  [/explanation could not be parsed/i, "The explainer's answer could not be parsed."],
  [/^\s*no explanation found\.?\s*$/i, "No explanation was found."],
];

export type ReadExplanation = { text: string; failure: null } | { text: null; failure: string };

/** A text, or why there is none. */
export function readExplanation(value: unknown): ReadExplanation {
  if (value === null || value === undefined) return { text: null, failure: "The file holds null in place of an explanation." };
  if (typeof value !== "string") return { text: null, failure: `The file holds ${typeof value} in place of an explanation.` };
  const text = value.trim();
  if (text === "") return { text: null, failure: "The explanation is empty." };
  const failure = failures.find(([pattern]) => pattern.test(text));
  return failure ? { text: null, failure: failure[1] } : { text, failure: null };
}

const labelLength = 80;

/** A few words for lists: the text itself where it is short, else its beginning up to the end of a word. */
export function labelOf(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  if (line.length <= labelLength) return line;
  const sentence = /^.{8,79}?[.;:](?=\s)/u.exec(line)?.[0].slice(0, -1);
  if (sentence) return sentence;
  let cut = "";
  // By characters: half a pair is no character.
  for (const character of line) {
    if (cut.length + character.length >= labelLength) break;
    cut += character;
  }
  return `${cut.replace(/\s+\S*$/, "")}…`;
}

/** A number that was measured; null for −1 (how these tools write a failure), NaN, infinities and what is no number. */
export function readScore(value: unknown): number | null {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number !== -1 ? number : null;
}

const conceptWords: Record<string, Concept> = { color: "colour", colors: "colour", colours: "colour" };

/** A concept class as an LLM wrote it ("Object.", "color"); null where it is none of the known. */
export function readConcept(value: unknown): Concept | null {
  if (typeof value !== "string") return null;
  const word = value
    .toLowerCase()
    .replace(/[^\p{L}]+/gu, " ")
    .trim();
  return conceptWords[word] ?? conceptClasses.find((concept) => concept === word || `${concept}s` === word) ?? null;
}
