/** A text whose matching words stand between U+E000 and U+E001, as pieces. Unpaired marks are dropped. */
export function highlightPieces(text: string): { text: string; match: boolean }[] {
  const pieces: { text: string; match: boolean }[] = [];
  let match = false;
  for (const piece of text.split(/([\uE000\uE001])/)) {
    if (piece === "\uE000") match = true;
    else if (piece === "\uE001") match = false;
    else if (piece) pieces.push({ text: piece, match });
  }
  return pieces;
}

/** The same text without its marks. */
export function withoutHighlight(text: string): string {
  return text.replace(/[\uE000\uE001]/g, "");
}
