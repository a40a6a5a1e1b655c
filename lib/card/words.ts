/** Texts as a card can set them. */
import { hasEmoji, isEmoji } from "./emoji";
import { isKnown } from "./fonts";

/** Stands where no font has a letter: a gap would look as if nothing had been there. */
const unknown = "□";
/** Signs that join or vary the letters around them; other invisible ones would be drawn as boxes. */
const joins = /\u200C|\u200D|\uFE0E|\uFE0F/;
const invisible = /[\p{Cc}\p{Cf}]/u;

const segments = new Intl.Segmenter("en", { granularity: "grapheme" });
/** What a reader counts as letters. */
export const graphemes = (text: string): string[] => [...segments.segment(text)].map(({ segment }) => segment);

/** At most so many letters, none of them cut in two. */
export const clip = (text: string, letters: number): string => graphemes(text).slice(0, letters).join("");

async function drawable(grapheme: string): Promise<string> {
  if (isEmoji(grapheme)) {
    // A flag is a pair of letters for a country, and the package draws none.
    const flag = [...grapheme].map((letter) => (letter.codePointAt(0) ?? 0) - 0x1f1e6);
    if (flag.every((at) => at >= 0 && at < 26)) return flag.map((at) => String.fromCharCode(65 + at)).join("");
    return (await hasEmoji(grapheme)) ? grapheme : unknown;
  }
  let kept = "";
  for (const letter of grapheme) {
    if (joins.test(letter)) kept += letter;
    else if (!invisible.test(letter)) kept += (await isKnown(letter.codePointAt(0) ?? 0)) ? letter : unknown;
  }
  return kept;
}

/** The text with a box in place of each letter that no font has; white space is folded, and signs that show nothing go. */
export async function printable(text: string): Promise<string> {
  const folded = text.normalize("NFC").replace(/\s+/g, " ").trim();
  const pieces = await Promise.all(graphemes(folded).map(drawable));
  return pieces.join("").replace(/ +/g, " ").trim();
}

const leftToRight = /\p{L}/u;
const rightToLeft = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}\p{Script=Adlam}]/u;

/** The direction of a text's first letter, as `dir="auto"` has it. */
export function directionOf(text: string): "ltr" | "rtl" {
  const first = [...text].find((letter) => leftToRight.test(letter));
  return first && rightToLeft.test(first) ? "rtl" : "ltr";
}

const words = new Intl.Segmenter("en", { granularity: "word" });
/** The pieces at which a long word can be broken: Thai and others write no spaces. A piece without end is no word, and takes long to set. */
export function breakable(word: string, letters: number): string[] {
  if (word.length <= letters) return [word];
  return [...words.segment(word)].map(({ segment }) => (segment.length > letters ? `${clip(segment, letters)}…` : segment));
}
