/** A page of features, with the search box: what `GET /api/features` and the dictionary page answer. */
import type { Database, Queryable } from "@/lib/catalog/db";
import { locateDictionary } from "@/lib/catalog/dictionaries";
import { type FeatureMatch, featurePage, type Hit, Parameters } from "@/lib/catalog/feature-list";
import { nearWords } from "@/lib/catalog/search-documents";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { markStart } from "@/lib/core/highlight";
import type { Dictionary, FeatureCard, FeaturePage } from "@/lib/core/records";
import type { Embedder } from "./embedder";
import { markNear } from "./highlight";
import { searchMeaning } from "./meaning";
import { canMistype, isEmptySearch, type ParsedSearch, parseSearch } from "./parse";
import { explainSql, matchSql, type NearWords, quotedSql, withoutSql } from "./rank";

interface ExplainRow {
  index: number;
  label: string;
  body: string;
  exact: boolean;
  nearly: boolean;
  marked_label: string;
  marked_body: string;
}

/** Says why each card was found, and shows it: marked words in the label, or an excerpt of the explanation where they are there only. */
async function explain(
  db: Queryable,
  parsed: ParsedSearch,
  dictionaryId: number,
  hooks: string[],
  near: NearWords,
  cards: FeatureCard[],
  beside: Hit[],
): Promise<void> {
  if (parsed.key && (parsed.key.hook === null || hooks.includes(parsed.key.hook))) {
    const card = cards.find((one) => one.index === parsed.key?.index);
    if (card) card.match = { kind: "key", highlight: null };
  }
  const rest = cards.filter((card) => card.match === null);
  if (rest.length === 0 || parsed.terms.length === 0) return;
  const parameters = new Parameters();
  const sql = explainSql(
    parsed,
    dictionaryId,
    near,
    rest.map((card) => card.index),
    parameters,
  );
  const meant = new Set(beside.map((hit) => hit.index));
  const rows = new Map((await db.rows<ExplainRow>(sql, parameters.values)).map((row) => [row.index, row]));
  for (const card of rest) {
    const row = rows.get(card.index);
    if (!row) continue;
    if (!row.exact && !row.nearly && meant.has(card.index)) {
      card.match = { kind: "meaning", highlight: null };
      continue;
    }
    const marked = [row.marked_label, row.marked_body].find((text) => text.includes(markStart));
    const other = row.exact && marked ? null : (markNear(row.label, parsed.terms) ?? markNear(row.body, parsed.terms));
    card.match = { kind: row.exact ? "words" : "typo", highlight: other ?? marked ?? null };
  }
}

/** A parsed search as the conditions of a list; null where nothing is searched for. `embedder`: for tests; default: this process's. */
export async function matchOf(
  db: Queryable,
  parsed: ParsedSearch,
  dictionaryId: number,
  dictionary: Dictionary,
  embedder?: Embedder | null,
): Promise<FeatureMatch | null> {
  if (isEmptySearch(parsed)) return null;
  const hooks = [dictionary.id, dictionary.hook, dictionary.ref];
  const positive = parsed.key !== null || parsed.terms.length > 0;
  const search = await searchMeaning(db, dictionaryId, parsed, embedder);
  const quoted = parsed.terms.filter((term) => term.quoted);
  const typed = parsed.terms.filter(canMistype).map((term) => term.text);
  const near = await nearWords(db, dictionaryId, typed);
  return {
    found: positive ? (parameters) => matchSql(parsed, { dictionaryId, hooks }, near, parameters) : null,
    beside: search && (async (filter) => (await search.near(quotedSql(quoted, dictionaryId, filter))).map(meaningHit)),
    condition: parsed.without.length ? (parameters) => withoutSql(parsed.without, dictionaryId, parameters) : null,
    explain: (db, cards, beside) => explain(db, parsed, dictionaryId, hooks, near, cards, beside),
    meaning: search?.meaning ?? null,
  };
}

/** After words and typos, the nearest first. */
const meaningHit = ({ index, similarity }: { index: number; similarity: number }): Hit => ({ index, cost: 4 - similarity });

export interface ListOptions {
  /** In place of this process's own; null = none. */
  embedder?: Embedder | null;
}

/**
 * The page that `query` asks for, in the dictionary's latest version or the one that it names. Throws `dictionary_not_found`,
 * `version_mismatch`, and `invalid_request` for a cursor that is not of this list.
 */
export async function listFeatures(db: Database, query: FeatureQuery, options: ListOptions = {}): Promise<FeaturePage> {
  const { id, dictionary } = await locateDictionary(db, query.dictionary, query.version);
  const parsed = parseSearch(query.q);
  return featurePage(db, id, query, await matchOf(db, parsed, id, dictionary, options.embedder));
}
