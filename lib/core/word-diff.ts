/** Marking the words in which two answers differ. */
import { diffArrays } from "diff";

/** Words with the space before them, punctuation on its own: `"a cat, red"` → `["a", " cat", ",", " red"]`. */
export function splitWords(text: string): string[] {
  return text.match(/\s*(?:[\p{L}\p{N}][\p{L}\p{N}'’-]*|[^\s])/gu) ?? [];
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
