/** What is offered as the right answer. Pure. */

/** What the model nearly said: at the word that is looked at, each likely other token after what was said before it. */
export function nearAnswers(
  tokens: readonly { id: number; text: string; alternatives: { id: number; text: string }[] }[],
  place: number | null,
): string[] {
  const token = place === null ? undefined : tokens[place];
  if (!token || place === null) return [];
  const before = tokens
    .slice(0, place)
    .map(({ text }) => text)
    .join("");
  const texts = token.alternatives.filter(({ id, text }) => id !== token.id && /[\p{L}\p{N}]/u.test(text) && !/[<>]/.test(text));
  return [...new Set(texts.map(({ text }) => `${before}${text}`.trim()))].slice(0, 4);
}
