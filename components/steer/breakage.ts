/** When steering has broken an answer: told from the answer and its probabilities alone, whatever the model and its language. */
import { formatPercent } from "@/lib/core/format";
import type { Receipt } from "@/lib/core/protocol";
import { splitWords } from "@/lib/core/word-diff";

/** A phrase of so many words at most, written so often in a row, is a loop. */
const longestPhrase = 6;
const loops = 3;

/** Of an answer of so many words without the clamp, one word alone is a ruin. */
const fullAnswer = 5;

/** A model whose words were this much less likely to it on average (geometric mean), as a share of the plain answer's, is at a loss for them. */
export const leastSureness = 0.75;

/** What `breakage` finds, in words. */
export const breakageMeans = `The answer loops, is empty, does not end, is one word where the plain answer is a sentence, or its tokens are less than ${formatPercent(leastSureness)} as likely to the model, on average, as the plain answer's are. Whether it is true cannot be told from it alone, and a sentence that it breaks with confidence is not seen.`;

/** An answer as its receipt has it, and its tokens' log-probabilities. */
export interface JudgedAnswer extends Pick<Receipt, "text" | "finish"> {
  logprobs: readonly number[];
}

/** Geometric mean of the probabilities of an answer's tokens, 0 to 1; null where it has none. */
export function sureness(logprobs: readonly number[]): number | null {
  if (logprobs.length === 0) return null;
  return Math.exp(logprobs.reduce((sum, logprob) => sum + logprob, 0) / logprobs.length);
}

/** "its tokens are 62 % likely on average, 100 % without the clamp", where that is too little; an answer of few words may be rightly unsure. */
function unsure(answer: JudgedAnswer, baseline: JudgedAnswer | null): string | null {
  if (!baseline || splitWords(baseline.text).length < fullAnswer) return null;
  const [own, plain] = [sureness(answer.logprobs), sureness(baseline.logprobs)];
  if (own === null || plain === null || own >= plain * leastSureness) return null;
  return `its tokens are ${formatPercent(own)} likely on average, the plain answer’s ${formatPercent(plain)}`;
}

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
export function breakage(receipt: JudgedAnswer, baseline: JudgedAnswer | null): string | null {
  if (!receipt.text.trim()) return baseline && !baseline.text.trim() ? null : "it is empty";
  const phrase = repeated(receipt.text);
  if (phrase !== null && !(baseline && repeated(baseline.text) !== null)) return `it repeats “${phrase}”`;
  if (receipt.finish === "length" && baseline?.finish === "stop") return "it does not end";
  if (baseline && splitWords(receipt.text).length === 1 && splitWords(baseline.text).length >= fullAnswer) return "one word is left of it";
  return unsure(receipt, baseline);
}
