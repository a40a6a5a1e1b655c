/**
 * Words of a text as PostgreSQL's configurations `simple` and `english` take them, so that a search in a tab finds what a server's finds: pieces of
 * letters and digits, compounds both whole and in parts, addresses and paths whole; stems by the same algorithm (Snowball's for English).
 */
import { stem } from "stemr";

export interface Token {
  /** As it stands in the text. */
  text: string;
  /** Of its first character in the text. */
  at: number;
  /** In lower case: the word form of `simple`. */
  word: string;
  /** The word form of `english`; null for what it leaves out. */
  stem: string | null;
  /** A compound whose parts follow. */
  whole: boolean;
}

/** What the configuration `english` leaves out. */
export const stopWords: ReadonlySet<string> = new Set(
  `i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers herself it its itself they them their
  theirs themselves what which who whom this that these those am is are was were be been being have has had having do does did doing a an the and
  but if or because as until while of at by for with about against between into through during before after above below to from up down in out on
  off over under again further then once here there when where why how all any both each few more most other some such no nor not only own same so
  than too very s t can will just don should now`.split(/\s+/),
);

/** Marks of another language in the text, which are no words. */
const tag = String.raw`<[/!?]?[A-Za-z][^<>]*>|&#?[\p{L}\p{N}]+;`;
const address = String.raw`[\p{L}\p{N}_.+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+`;
const pathName = String.raw`[\p{L}\p{N}_~.-]*[\p{L}\p{N}](?:/[\p{L}\p{N}_~.-]*[\p{L}\p{N}])+`;
const number = String.raw`(?<![\p{L}\p{N}])[-+]?\d+(?:\.\d+)*(?:[eE][-+]?\d+)?(?![\p{L}\p{N}])`;
const host = String.raw`[\p{L}\p{N}][\p{L}\p{N}_-]*(?:\.[\p{L}\p{N}][\p{L}\p{N}_-]*)+`;
const compound = String.raw`\p{L}[\p{L}\p{M}\p{N}]*(?:-\p{L}[\p{L}\p{M}\p{N}]*)+`;
const word = String.raw`[\p{L}\p{N}][\p{L}\p{M}\p{N}]*`;
const pieces = new RegExp(
  `(?<tag>${tag})|(?<asIs>${address}|${pathName}|${number}|${host})|(?<compound>${compound})|(?<word>${word})`,
  "gu",
);

/** Digits in a word keep `english` from taking it for one. */
function tokenOf(text: string, at: number, whole: boolean): Token {
  const lower = text.toLowerCase();
  const english = /\d/.test(text) ? lower : stopWords.has(lower) ? null : stem(lower);
  return { text, at, word: lower, stem: english, whole };
}

export function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  for (const match of text.matchAll(pieces)) {
    if (match.groups?.tag) continue;
    const [found] = match;
    const at = match.index;
    if (match.groups?.asIs) {
      const lower = found.toLowerCase();
      tokens.push({ text: found, at, word: lower, stem: lower, whole: false });
      continue;
    }
    tokens.push(tokenOf(found, at, match.groups?.compound !== undefined));
    if (!match.groups?.compound) continue;
    let from = at;
    for (const part of found.split("-")) {
      tokens.push(tokenOf(part, from, false));
      from += part.length + 1;
    }
  }
  return tokens;
}
