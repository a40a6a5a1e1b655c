/** When steering has broken an answer: told from the answer alone, whatever the model and its language. */
import type { Receipt } from "@/lib/core/protocol";
import { splitWords } from "@/lib/core/word-diff";

/** A phrase of so many words at most, written so often in a row, is a loop. */
const longestPhrase = 6;
const loops = 3;

/** Of an answer of so many words without the clamp, one word alone is a ruin. */
const fullAnswer = 5;

/** What `breakage` finds, in words. */
export const breakageMeans =
  "The answer loops, is empty, does not end, or is one word where the plain answer is a sentence. Whether it is true cannot be told from it alone.";

/** The first phrase that is written three times and more in a row; null where none is. */
export function repeated(text: string): string | null {
  const words = splitWords(text).map((word) => word.trim().toLowerCase());
  for (let length = 1; length <= longestPhrase; length++) {
    let same = 0;
    for (let i = length; i < words.length; i++) {
      same = words[i] === words[i - length] ? same + 1 : 0;
      if (same >= length * (loops - 1)) return words.slice(i - length + 1, i + 1).join(" ");
    }
  }
  return null;
}

/** Why the answer is no good any more, in words, or null. What the model does without a clamp too is not held against the clamp. */
export function breakage(receipt: Pick<Receipt, "text" | "finish">, baseline: Pick<Receipt, "text" | "finish"> | null): string | null {
  if (!receipt.text.trim()) return baseline && !baseline.text.trim() ? null : "it is empty";
  const phrase = repeated(receipt.text);
  if (phrase !== null && !(baseline && repeated(baseline.text) !== null)) return `it repeats “${phrase}”`;
  if (receipt.finish === "length" && baseline?.finish === "stop") return "it does not end";
  if (baseline && splitWords(receipt.text).length === 1 && splitWords(baseline.text).length >= fullAnswer) return "one word is left of it";
  return null;
}
