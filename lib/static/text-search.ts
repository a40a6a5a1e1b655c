/** Whether a text has all words of a search, by their stems: how captions and saved experiments are searched. */
import { tokensOf } from "./lexemes";

/** An empty search finds every text; one of nothing but articles and the like, none. */
export function textSearch(search: string): (text: string) => boolean {
  const asked = search.replaceAll("\0", " ").trim();
  if (asked === "") return () => true;
  const stems = tokensOf(asked).flatMap(({ stem }) => stem ?? []);
  return (text) => {
    if (stems.length === 0) return false;
    const has = new Set(tokensOf(text).map(({ stem }) => stem));
    return stems.every((stem) => has.has(stem));
  };
}
