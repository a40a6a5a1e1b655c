import type { ExperimentSummary } from "@/lib/core/experiment";
import { markDifferences, splitWords } from "@/lib/core/word-diff";
import { type Box, box, colours, drawCard, markedText, pictureBox, text } from "./draw";
import { cardFonts } from "./fonts";

/** Of a title or question: what is cut off by the line's end need not be set. */
const shownLetters = 120;
/** Of a word: one without end is no word, and takes long to break. */
const wordLetters = 32;

/** An answer, to so many words: a card is no page. */
function answer(name: string, words: string[], marks: boolean[] | null, size: number, height: number): Box {
  const most = Math.round(700 / size);
  const whole = words.slice(0, most).map((word) => (word.length > wordLetters ? `${word.slice(0, wordLetters)}…` : word));
  const shown = words.length > most ? [...whole, " …"] : whole;
  return box(
    { flexDirection: "column", marginTop: 22 },
    text(name, 1, { fontSize: 22, color: colours.muted }),
    shown.length > 0
      ? markedText(shown, marks, { fontSize: size, lineHeight: 1.32, maxHeight: height })
      : text("(nothing)", 1, { fontSize: size, color: colours.muted }),
  );
}

/** The experiment's picture, its title and what was answered with and without the clamps. */
export async function experimentCard(experiment: ExperimentSummary, picture: Uint8Array | null): Promise<Uint8Array> {
  const { printable } = await cardFonts();
  const { outcome, baseline, dictionary } = experiment;
  const steered = splitWords(printable(experiment.steered));
  const plain = baseline === null ? null : splitWords(printable(baseline));
  const marks = plain && markDifferences(steered, plain);
  const question = printable(experiment.question).slice(0, shownLetters);
  const title = printable(experiment.title).slice(0, shownLetters) || `Experiment ${experiment.id}`;
  const words = box(
    { flexDirection: "column", flexGrow: 1, flexShrink: 1, flexBasis: 0, minWidth: 0 },
    text(title, 2, { fontSize: 42, fontWeight: 600, lineHeight: 1.2 }),
    question && question !== title ? text(question, 1, { marginTop: 10, color: colours.muted }) : null,
    answer(outcome === "unchanged" ? "Not steered" : "Steered", steered, marks?.left ?? null, 34, 136),
    plain && answer("Baseline", plain, marks?.right ?? null, 28, 112),
  );
  const content = box({ alignItems: "flex-start", gap: 44 }, picture && (await pictureBox(picture, 400)), words);
  return drawCard(content, printable(dictionary));
}
