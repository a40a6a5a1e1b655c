import type { ExperimentSummary } from "@/lib/core/experiment";
import { markDifferences, splitWords } from "@/lib/core/word-diff";
import { type Box, box, colours, drawCard, markedText, pictureBox, text } from "./draw";
import { breakable, clip, printable } from "./words";

/** Of a title or question: what is cut off by the line's end need not be set. */
const shownLetters = 120;
/** Of a word: one without end is no word, and takes long to break. */
const wordLetters = 32;

/** Of an answer: more than a card has room for. */
const answerLetters = 1_000;

/** An answer, to so many words: a card is no page. */
function answer(name: string, words: string[], marks: boolean[] | null, size: number, height: number): Box {
  const shown: string[] = [];
  const marked: boolean[] = [];
  // Of words of one letter, which Chinese and Japanese have, a line holds more.
  let room = 700 / size;
  for (const [i, word] of words.entries()) {
    room -= word.trim().length === 1 ? 0.4 : 1;
    if (room < 0) {
      shown.push(" …");
      break;
    }
    for (const piece of breakable(word, wordLetters)) {
      shown.push(piece);
      marked.push(marks?.[i] ?? false);
    }
  }
  return box(
    { flexDirection: "column", marginTop: 22 },
    text(name, 1, { fontSize: 22, color: colours.muted }),
    shown.length > 0
      ? markedText(shown, marked, { fontSize: size, lineHeight: 1.32, maxHeight: height })
      : text("(nothing)", 1, { fontSize: size, color: colours.muted }),
  );
}

/** The experiment's picture, its title and what was answered with and without the clamps. */
export async function experimentCard(experiment: ExperimentSummary, picture: Uint8Array | null): Promise<Uint8Array> {
  const { outcome, baseline, dictionary } = experiment;
  const steered = splitWords(await printable(clip(experiment.steered, answerLetters)));
  const plain = baseline === null ? null : splitWords(await printable(clip(baseline, answerLetters)));
  const marks = plain && markDifferences(steered, plain);
  const question = await printable(clip(experiment.question, shownLetters));
  const title = (await printable(clip(experiment.title, shownLetters))) || `Experiment ${experiment.id}`;
  const words = box(
    { flexDirection: "column", flexGrow: 1, flexShrink: 1, flexBasis: 0, minWidth: 0 },
    text(title, 2, { fontSize: 42, fontWeight: 600, lineHeight: 1.2 }),
    question && question !== title ? text(question, 1, { marginTop: 10, color: colours.muted }) : null,
    answer(outcome === "unchanged" ? "Not steered" : "Steered", steered, marks?.left ?? null, 34, 136),
    plain && answer("Baseline", plain, marks?.right ?? null, 28, 112),
  );
  const content = box({ alignItems: "flex-start", gap: 44 }, picture && (await pictureBox(picture, 400)), words);
  return drawCard(content, await printable(dictionary));
}
