/** Marking the words in which two answers differ. */
import { diffArrays } from "diff";

/** Words with the space before them, punctuation on its own: `"a cat, red"` → `["a", " cat", ",", " red"]`. */
export function splitWords(text: string): string[] {
  return text.match(/\s*(?:[\p{L}\p{N}][\p{L}\p{N}'’-]*|[^\s])/gu) ?? [];
}

/**
 * For each piece of either side whether it has no counterpart on the other (longest common subsequence). Pieces are words or tokens;
 * the space around them does not count.
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
