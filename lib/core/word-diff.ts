/** Marking the words in which two answers differ. */
import { diffArrays } from "diff";

/** Chinese and Japanese, which set no space between words. */
const letterWords = String.raw`[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}ー]`;
/** Marks and joiners belong to the letter before them. */
const spacedWords = String.raw`(?!${letterWords})[\p{L}\p{N}](?:(?!${letterWords})[\p{L}\p{N}\p{M}\u200c\u200d'’-])*`;
/** Flags are two signs, and other emoji may be several that are joined. */
const sign = String.raw`[\u{1f1e6}-\u{1f1ff}]{2}|\S[\p{M}\u{1f3fb}-\u{1f3ff}]*(?:\u200d\S[\p{M}\u{1f3fb}-\u{1f3ff}]*)*`;
const word = new RegExp(String.raw`\s*(?:${letterWords}\p{M}*|${spacedWords}|${sign})`, "gu");

/** Words with the space before them, punctuation on its own: `"a cat, red"` → `["a", " cat", ",", " red"]`. Chinese and Japanese go letter by letter. */
export function splitWords(text: string): string[] {
  return text.match(word) ?? [];
}

/**
 * For each token of either side whether it belongs to a word that the other side lacks: where a word is written in several tokens, all of them are marked.
 */
export function markTokens(left: readonly string[], right: readonly string[]): { left: boolean[]; right: boolean[] } {
  const marks = markDifferences(splitWords(left.join("")), splitWords(right.join("")));
  return { left: spread(left, marks.left), right: spread(right, marks.right) };
}

/** Marks of a text's words → marks of its tokens. */
function spread(tokens: readonly string[], marks: readonly boolean[]): boolean[] {
  const words = splitWords(tokens.join(""));
  /** For each character the word that it is in. */
  const wordAt = words.flatMap((word, i) => Array.from({ length: word.length }, () => i));
  let at = 0;
  return tokens.map((token) => {
    const inside = wordAt.slice(at, at + token.length).filter((_, i) => /\S/.test(token[i] as string));
    at += token.length;
    return inside.some((word) => marks[word]);
  });
}

/**
 * For each piece of either side whether it has no counterpart on the other (longest common subsequence). The space around pieces does not count.
 */
export function markDifferences(left: readonly string[], right: readonly string[]): { left: boolean[]; right: boolean[] } {
  const marks = { left: [] as boolean[], right: [] as boolean[] };
  const changes = diffArrays(
    left.map((piece) => piece.trim()),
    right.map((piece) => piece.trim()),
  );
  for (const { count = 0, added, removed } of changes) {
    for (let i = 0; i < count; i++) {
      if (!added) marks.left.push(Boolean(removed));
      if (!removed) marks.right.push(Boolean(added));
    }
  }
  return marks;
}

/** How far two texts are apart in words: 0 where they are the same, 1 where they have no word in common in any order of reading. */
export function wordDistance(left: string, right: string): number {
  const [a, b] = [splitWords(left), splitWords(right)];
  if (a.length + b.length === 0) return 0;
  const marks = markDifferences(a, b);
  const apart = [...marks.left, ...marks.right].filter(Boolean).length;
  return apart / (a.length + b.length);
}
