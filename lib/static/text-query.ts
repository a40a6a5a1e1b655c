/** Questions to a list of words, and what a document answers: the part of PostgreSQL's text search that lib/search/rank.ts asks. */
import type { Term } from "@/lib/search/parse";
import { tokensOf } from "./lexemes";

/** One word form, or all that begin with it. */
export interface Operand {
  kind: "word";
  word: string;
  prefix: boolean;
}

export type TextQuery =
  | Operand
  | { kind: "and" | "or"; of: TextQuery[] }
  /** The words one after the other. */
  | { kind: "phrase"; of: Operand[] };

/** A word form in a document. `places`: ascending, counted from 1; `inLabel`: in step. */
export interface Entry {
  word: string;
  places: number[];
  inLabel: boolean[];
}

/** What of a document an operand stands for. */
export type Entries = (operand: Operand) => readonly Entry[];

const operand = (word: string, prefix = false): Operand => ({ kind: "word", word, prefix });

/** The question without needless levels; null where nothing is asked. */
function joined(kind: "and" | "or" | "phrase", of: readonly (TextQuery | null)[]): TextQuery | null {
  const asked = of.filter((one) => one !== null);
  if (asked.length < 2) return asked[0] ?? null;
  return { kind, of: asked } as TextQuery;
}

/** All words of a text, by their stems. */
export function plainQuery(text: string): TextQuery | null {
  return joined(
    "and",
    tokensOf(text).map(({ stem }) => (stem === null ? null : operand(stem))),
  );
}

function phraseQuery(text: string, prefix: boolean): TextQuery | null {
  return joined(
    "phrase",
    tokensOf(text).map(({ word }) => operand(word, prefix)),
  );
}

/** A word or phrase of a search, as stem or as it stands. `prefix`: the word that may be the beginning of one. */
export function termQuery(term: Term, prefix: string | null): TextQuery | null {
  if (term.kind === "phrase") return phraseQuery(term.text, false);
  return joined("or", [plainQuery(term.text), phraseQuery(term.text, prefix === term.text)]);
}

export const anyOf = (queries: readonly (TextQuery | null)[]): TextQuery | null => joined("or", queries);
export const allOf = (queries: readonly (TextQuery | null)[]): TextQuery | null => joined("and", queries);
export const wordOf = (word: string): TextQuery => operand(word);

/** Each operand of the question once for each time that it stands there, in the order in which PostgreSQL keeps them: the last first. */
export function operandsOf(query: TextQuery): Operand[] {
  return query.kind === "word" ? [query] : query.of.toReversed().flatMap(operandsOf);
}

/** Whether a document answers the question: by the places of each operand's words. */
export function holds(query: TextQuery, placesOf: (operand: Operand) => ReadonlySet<number>): boolean {
  switch (query.kind) {
    case "word":
      return placesOf(query).size > 0;
    case "and":
      return query.of.every((one) => holds(one, placesOf));
    case "or":
      return query.of.some((one) => holds(one, placesOf));
    case "phrase": {
      const [first, ...rest] = query.of.map(placesOf);
      return [...(first ?? [])].some((place) => rest.every((places, i) => places.has(place + i + 1)));
    }
  }
}

/** The places of an operand's words in a document. */
export function placesIn(entries: Entries): (operand: Operand) => ReadonlySet<number> {
  const known = new Map<Operand, Set<number>>();
  return (asked) => {
    const places = known.get(asked) ?? new Set(entries(asked).flatMap((entry) => entry.places));
    known.set(asked, places);
    return places;
  };
}
