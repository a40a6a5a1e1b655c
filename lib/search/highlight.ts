/** Marks what of a text a query's term stands for, where the database cannot: substrings, and words that nearly match. */
import { markStart, markStop } from "@/lib/core/highlight";
import { isOneSlip } from "@/lib/core/one-slip";
import type { Term } from "./parse";

/** The trigrams of a word as pg_trgm takes them: lower case, two blanks before and one after. */
function trigrams(word: string): Set<string> {
  const padded = `  ${word.toLowerCase()} `;
  const found = new Set<string>();
  for (let i = 0; i + 3 <= padded.length; i++) found.add(padded.slice(i, i + 3));
  return found;
}

function likeness(a: string, b: string): number {
  const [x, y] = [trigrams(a), trigrams(b)];
  let common = 0;
  for (const one of x) if (y.has(one)) common++;
  return common / (x.size + y.size - common);
}

/** `text` with every occurrence of the substrings, and the word nearest to each other term, marked; null when there is nothing to mark. */
export function markNear(text: string, terms: Term[]): string | null {
  const spans: [number, number][] = [];
  const words = [...text.matchAll(/[\p{L}\p{N}]+/gu)];
  for (const term of terms) {
    if (term.kind === "substring") {
      const [hay, needle] = [text.toLowerCase(), term.text.toLowerCase()];
      for (let at = hay.indexOf(needle); at !== -1; at = hay.indexOf(needle, at + needle.length)) spans.push([at, at + needle.length]);
      continue;
    }
    let best: RegExpMatchArray | undefined;
    let most = 0.3;
    for (const word of words) {
      const slip = isOneSlip(word[0].toLowerCase(), term.text.toLowerCase());
      const near = Math.max(likeness(word[0], term.text), slip ? 0.31 : 0);
      if (near > most) [best, most] = [word, near];
    }
    if (best?.index !== undefined) spans.push([best.index, best.index + best[0].length]);
  }
  if (spans.length === 0) return null;
  spans.sort((a, b) => a[0] - b[0]);
  let marked = "";
  let at = 0;
  for (const [start, end] of spans) {
    if (start < at) continue;
    marked += text.slice(at, start) + markStart + text.slice(start, end) + markStop;
    at = end;
  }
  return marked + text.slice(at);
}
