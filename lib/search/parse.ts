/**
 * The search box's language: `#14`, `14` or `model.layers.24_feature14` jump to a feature; words; "a phrase"; -without and -"without this".
 * Anything else is text to be found as it stands, in any script.
 */

export interface Term {
  /** `word`: found by its stem; `phrase`: words in this order; `substring`: characters as they stand (scripts without spaces, symbols). */
  kind: "word" | "phrase" | "substring";
  text: string;
  /** It stood in quotes: whatever else is found must have it. */
  quoted?: true;
}

export interface ParsedSearch {
  /** The feature that the whole query names, where it is a key. */
  key: { index: number; hook: string | null } | null;
  /** The query can only be a key (`#14`), and is not also a word (`14`). */
  keyOnly: boolean;
  terms: Term[];
  without: Term[];
  /** The last word may be the beginning of one that is still being typed. */
  prefix: string | null;
  /** What was asked in words, to be compared by meaning; null where all of it is a key, quoted or excluded. */
  meaning: string | null;
}

/** Terms beyond these are ignored: a query of thousands of words asks nothing more precisely. */
const mostTerms = 32;

/** Scripts that put no spaces between words, so that a word must be found inside a run of letters. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Script=Tibetan}]/u;
const wordLike = /[\p{L}\p{N}]/u;

/** Words that English documents are full of; a query of nothing else is searched as it is. */
const stopWords = new Set(
  "a an and are as at be but by for from has have i in is it its of on or that the their there these this those to was were what when where which who will with".split(
    " ",
  ),
);

const quotes: Record<string, string> = { '"': '"', "“": "”", "„": "“", "«": "»" };

function termOf(text: string, quoted: boolean): Term | null {
  const trimmed = text.replace(/\s+/g, " ").trim();
  if (!trimmed) return null;
  const mark = quoted ? { quoted: true as const } : {};
  if (!wordLike.test(trimmed) || unspaced.test(trimmed)) return { kind: "substring", text: trimmed, ...mark };
  return { kind: quoted && /\s/.test(trimmed) ? "phrase" : "word", text: trimmed, ...mark };
}

/** Splits into pieces: quoted ones (a quote that is never closed is a plain character) and runs without spaces, each maybe negated. */
function pieces(text: string): { text: string; quoted: boolean; negated: boolean }[] {
  const found: { text: string; quoted: boolean; negated: boolean }[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at] as string)) {
      at++;
      continue;
    }
    const negated = text[at] === "-" && at + 1 < text.length && !/[\s-]/.test(text[at + 1] as string);
    const start = negated ? at + 1 : at;
    const close = quotes[text[start] as string];
    const end = close === undefined ? -1 : text.indexOf(close, start + 1);
    if (end !== -1) {
      found.push({ text: text.slice(start + 1, end), quoted: true, negated });
      at = end + 1;
      continue;
    }
    let stop = start;
    while (stop < text.length && !/\s/.test(text[stop] as string)) stop++;
    found.push({ text: text.slice(start, stop), quoted: false, negated });
    at = stop;
  }
  return found;
}

function keyOf(text: string): Pick<ParsedSearch, "key" | "keyOnly"> {
  const hash = /^#\s*(\d{1,9})$/.exec(text);
  if (hash) return { key: { index: Number(hash[1]), hook: null }, keyOnly: true };
  if (/^\d{1,9}$/.test(text)) return { key: { index: Number(text), hook: null }, keyOnly: false };
  const named = /^(.*[\w\]])_feature(\d{1,9})$/.exec(text);
  if (named) return { key: { index: Number(named[2]), hook: named[1] as string }, keyOnly: true };
  return { key: null, keyOnly: false };
}

export function parseSearch(q: string): ParsedSearch {
  // PostgreSQL's text cannot hold NUL.
  const text = q.replaceAll("\0", " ").normalize("NFC").trim();
  const parsed: ParsedSearch = { ...keyOf(text), terms: [], without: [], prefix: null, meaning: null };
  if (parsed.keyOnly) return parsed;
  const found = pieces(text);
  for (const piece of found) {
    const term = termOf(piece.text, piece.quoted);
    const list = piece.negated ? parsed.without : parsed.terms;
    if (term && list.length < mostTerms && !list.some((one) => one.kind === term.kind && one.text === term.text)) list.push(term);
  }
  // Beside words, articles and punctuation ask for nothing; a query of nothing else is a query for them.
  const meaningful = parsed.terms.filter((term) =>
    term.kind === "substring"
      ? !/^[\p{P}\p{Sm}\p{Sk}\p{Sc}]+$/u.test(term.text)
      : term.kind === "phrase" || !stopWords.has(term.text.toLowerCase()),
  );
  const last = found.at(-1);
  if (meaningful.length) parsed.terms = meaningful;
  if (last && !last.quoted && !last.negated && parsed.terms.at(-1)?.kind === "word" && parsed.terms.at(-1)?.text === last.text.trim()) {
    parsed.prefix = last.text.trim();
  }
  const asked = found.filter((piece) => !piece.negated);
  if (!parsed.key && asked.some((piece) => !piece.quoted && wordLike.test(piece.text))) {
    parsed.meaning = asked.map((piece) => piece.text).join(" ");
  }
  return parsed;
}

/** Whether the term is long enough that a near miss means something. */
export const canMistype = (term: Term) => term.kind === "word" && !term.quoted && [...term.text].length >= 4;

export const isEmptySearch = (parsed: ParsedSearch) => !parsed.key && parsed.terms.length === 0 && parsed.without.length === 0;
