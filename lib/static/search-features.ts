/**
 * A search of features in a tab: a key, words, what is nearly spelled so, exclusions, at the costs of lib/search/rank.ts. Meaning takes an embedder, which
 * a copy does not bring: the answer says so.
 */
import { markStart } from "@/lib/core/highlight";
import type { Dictionary, FeatureCard, Meaning } from "@/lib/core/records";
import { markNear } from "@/lib/search/highlight";
import { canMistype, isEmptySearch, type ParsedSearch, parseSearch, type Term } from "@/lib/search/parse";
import type { DataFiles } from "./data-files";
import type { FeatureTable } from "./feature-table";
import { files, type WordsFile } from "./layout";
import type { Found } from "./list-page";
import { markAll, markExcerpt } from "./marked-text";
import { type NearWord, nearWords } from "./near-words";
import {
  allOf,
  anyOf,
  type Entries,
  type Entry,
  holds,
  type Operand,
  operandsOf,
  placesIn,
  type TextQuery,
  termQuery,
  wordOf,
} from "./text-query";
import { rankOf, rankTogether } from "./text-rank";
import { WordIndex } from "./word-index";

/** As much of an explanation as is looked through for words nearly spelled so. */
const bodyLooked = 400;

/** One search over a dictionary's documents. */
class Search {
  readonly #entries = new Map<Operand, Map<number, Entry[]>>();
  readonly #near = new Map<Term, NearWord[]>();
  /** Of each term that is words, and all of them together. */
  readonly #words: (TextQuery | null)[];
  readonly #asked: TextQuery | null;

  constructor(
    private readonly index: WordIndex,
    private readonly parsed: ParsedSearch,
  ) {
    this.#words = parsed.terms.filter((term) => term.kind !== "substring").map((term) => termQuery(term, parsed.prefix));
    this.#asked = allOf(this.#words);
    for (const term of parsed.terms) {
      const near = canMistype(term) ? nearWords(index.vocabulary, term.text) : [];
      if (near.length) this.#near.set(term, near);
    }
  }

  #standing(operand: Operand): Map<number, Entry[]> {
    const known = this.#entries.get(operand) ?? this.index.entriesOf(operand);
    this.#entries.set(operand, known);
    return known;
  }

  entries(document: number): Entries {
    return (operand) => this.#standing(operand).get(document) ?? [];
  }

  /** Documents that answer the question: among those that have a word of it. */
  #holding(query: TextQuery | null): Set<number> {
    const found = new Set<number>();
    if (!query) return found;
    const some = new Set(operandsOf(query).flatMap((operand) => [...this.#standing(operand).keys()]));
    for (const document of some) if (holds(query, placesIn(this.entries(document)))) found.add(document);
    return found;
  }

  #having(text: string): Set<number> {
    const needle = text.toLowerCase();
    const found = new Set<number>();
    this.index.documents.forEach(({ label, body }, document) => {
      if (label.toLowerCase().includes(needle) || body.toLowerCase().includes(needle)) found.add(document);
    });
    return found;
  }

  /** Documents that have the term. */
  having(term: Term, prefix: string | null): Set<number> {
    return term.kind === "substring" ? this.#having(term.text) : this.#holding(termQuery(term, prefix));
  }

  #nearly(term: Term): Set<number> {
    const near = this.#near.get(term);
    if (!near) return this.having(term, this.parsed.prefix);
    return this.#holding(anyOf([termQuery(term, this.parsed.prefix), ...near.map(({ word }) => wordOf(word))]));
  }

  #inAll(sets: readonly Set<number>[]): number[] {
    const [first, ...rest] = sets;
    return [...(first ?? [])].filter((document) => rest.every((set) => set.has(document)));
  }

  /** Documents that have every term. */
  exact(): number[] {
    return this.#inAll(this.parsed.terms.map((term) => this.having(term, this.parsed.prefix)));
  }

  nearly(): number[] {
    return this.#inAll(this.parsed.terms.map((term) => this.#nearly(term)));
  }

  get mistyped(): boolean {
    return this.#near.size > 0;
  }

  #rank(document: number): number {
    if (!this.#asked) return 0;
    const entries = this.entries(document);
    return this.#words.length > 1 ? rankTogether(this.#asked, entries) : rankOf(this.#asked, entries);
  }

  /** The label itself comes before labels that have the words, and those before explanations that have them. */
  exactCost(document: number): number {
    const whole = this.parsed.terms.map(({ text }) => text).join(" ");
    if (this.index.documents[document]?.label.toLowerCase() === whole.toLowerCase()) return 1;
    return 1 + 1 / (1.1 + this.#rank(document));
  }

  /** The nearer the spelling, the less; a word of the label counts more than one of the explanation. */
  nearlyCost(document: number): number {
    let likeness = 0;
    for (const near of this.#near.values()) {
      const held = near.map(({ word, likeness: share }) => {
        const entry = this.index.entryOf(word, document);
        return entry ? share * (entry.inLabel.includes(true) ? 1 : 0.8) : 0;
      });
      likeness += Math.max(...held);
    }
    return 3 - likeness / this.#near.size;
  }

  /** The words to be marked in a text. */
  operands(): Operand[] {
    const query = anyOf(this.#words);
    return query ? operandsOf(query) : [];
  }
}

/** What the documents hold: costs by feature, and the two ways of holding. */
function searchWords(index: WordIndex, parsed: ParsedSearch) {
  const search = new Search(index, parsed);
  const exact = search.exact();
  const nearly = exact.length === 0 && search.mistyped ? search.nearly() : [];
  const costs = new Map<number, number>();
  const indexOf = (document: number) => index.documents[document]?.index as number;
  for (const document of exact) costs.set(indexOf(document), search.exactCost(document));
  for (const document of nearly) costs.set(indexOf(document), search.nearlyCost(document));
  return { costs, exact: new Set(exact.map(indexOf)), operands: search.operands() };
}

function meaningOf(parsed: ParsedSearch, stored: string | null): Meaning | null {
  return parsed.meaning === null ? null : { state: "no_embedder", stored, here: null };
}

/** Says why a card was found, and shows it: marked words in the label, or an excerpt of the explanation where they are there only. */
function explainCard(
  card: FeatureCard,
  document: WordsFile["documents"][number],
  exact: boolean,
  operands: Operand[],
  terms: Term[],
): void {
  const marked = [markAll(document.label, operands), markExcerpt(document.body, operands)].find((text) => text.includes(markStart));
  const other = exact && marked ? null : (markNear(document.label, terms) ?? markNear(document.body.slice(0, bodyLooked), terms));
  card.match = { kind: exact ? "words" : "typo", highlight: other ?? marked ?? null };
}

/** Null where nothing is searched for. */
export async function searchFeatures(data: DataFiles, dictionary: Dictionary, table: FeatureTable, q: string): Promise<Found | null> {
  const parsed = parseSearch(q);
  if (isEmptySearch(parsed)) return null;
  const hooks = [dictionary.id, dictionary.hook, dictionary.ref];
  const key = parsed.key && (parsed.key.hook === null || hooks.includes(parsed.key.hook)) ? parsed.key.index : null;
  const meaning = meaningOf(parsed, table.embedder);
  const keyed = (cards: FeatureCard[]) => {
    for (const card of cards) if (card.index === key) card.match = { kind: "key", highlight: null };
  };
  if (parsed.keyOnly) {
    return { costs: new Map(key !== null && table.rowOf.has(key) ? [[key, 0]] : []), without: new Set(), meaning, explain: keyed };
  }
  const index = await data.keep(files.words(dictionary.ref), (file: WordsFile) => new WordIndex(file));
  const words = searchWords(index, parsed);
  if (key !== null && table.rowOf.has(key)) words.costs.set(key, 0);
  const leaving = new Search(index, { ...parsed, terms: [] });
  const without = parsed.without.flatMap((term) =>
    [...leaving.having(term, null)].map((document) => index.documents[document]?.index as number),
  );
  const positive = parsed.key !== null || parsed.terms.length > 0;
  return {
    costs: positive ? words.costs : null,
    without: new Set(without),
    meaning,
    explain(cards) {
      keyed(cards);
      if (parsed.terms.length === 0) return;
      const documentOf = new Map(index.documents.map((document) => [document.index, document]));
      for (const card of cards) {
        const document = documentOf.get(card.index);
        if (card.match === null && document) explainCard(card, document, words.exact.has(card.index), words.operands, parsed.terms);
      }
    },
  };
}
