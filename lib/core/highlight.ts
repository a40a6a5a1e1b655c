/** What stands before and after the words of a text that a search matched: private-use characters, which no text has otherwise. */
export const markStart = "\uE000";
export const markStop = "\uE001";

/** Captures the marks, so that splitting keeps them. */
const marks = new RegExp(`([${markStart}${markStop}])`, "g");

/** A text whose matching words are marked, as pieces. Unpaired marks are dropped. */
export function highlightPieces(text: string): { text: string; match: boolean }[] {
  const pieces: { text: string; match: boolean }[] = [];
  let match = false;
  for (const piece of text.split(marks)) {
    if (piece === markStart) match = true;
    else if (piece === markStop) match = false;
    else if (piece) pieces.push({ text: piece, match });
  }
  return pieces;
}

/** The same text without its marks. */
export function withoutHighlight(text: string): string {
  return text.replace(marks, "");
}
