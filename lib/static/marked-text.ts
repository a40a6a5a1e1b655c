/** A text with the words marked that a search found in it. */
import { markStart, markStop } from "@/lib/core/highlight";
import { type Token, tokensOf } from "./lexemes";
import type { Operand } from "./text-query";

/** Words of an excerpt, at most. */
const longest = 28;

/** Tokens of a text that follow one another without their compounds. */
const partsOf = (text: string) => tokensOf(text).filter(({ whole }) => !whole);

function isFound({ stem }: Token, operands: readonly Operand[]): boolean {
  return stem !== null && operands.some(({ word, prefix }) => (prefix ? stem.startsWith(word) : stem === word));
}

function mark(text: string, tokens: readonly Token[], operands: readonly Operand[]): string {
  let marked = "";
  let at = 0;
  for (const token of tokens) {
    if (!isFound(token, operands)) continue;
    marked += text.slice(at, token.at) + markStart + token.text + markStop;
    at = token.at + token.text.length;
  }
  return marked + text.slice(at);
}

/** The whole text. */
export function markAll(text: string, operands: readonly Operand[]): string {
  return mark(text, partsOf(text), operands);
}

/** The part of a long text around the first word that was found; its beginning where there is none. */
export function markExcerpt(text: string, operands: readonly Operand[]): string {
  const tokens = partsOf(text);
  const first = Math.max(
    0,
    tokens.findIndex((token) => isFound(token, operands)),
  );
  const from = Math.max(0, Math.min(first - longest / 2, tokens.length - longest));
  const kept = tokens.slice(from, from + longest);
  const [start, end] = [kept[0]?.at ?? 0, (kept.at(-1)?.at ?? 0) + (kept.at(-1)?.text.length ?? 0)];
  const part = text.slice(start, end);
  return mark(
    part,
    kept.map((token) => ({ ...token, at: token.at - start })),
    operands,
  );
}
