/**
 * A parsed search as SQL over `search_document`: a key first, then words (all of them, by stem, phrase, prefix or substring), and where no
 * feature has them all, words nearly spelled so (by trigrams, among the dictionary's words). What is quoted must be there as it stands. Costs, the lowest best: a key 0; words
 * 1 to 2; typos 2 to 3; after these come features of a similar meaning (list-features.ts).
 */
import { type FeatureFilter, Parameters } from "@/lib/catalog/feature-list";
import type { NearWord } from "@/lib/catalog/search-documents";
import { markStart, markStop } from "@/lib/core/highlight";
import { canMistype, type ParsedSearch, type Term } from "./parse";

export interface Target {
  dictionaryId: number;
  /** Names under which a key may spell the dictionary. */
  hooks: string[];
}

const escapeLike = (text: string) => `%${text.replace(/[\\%_]/g, "\\$&")}%`;
/** A word as a quoted operand of to_tsquery. */
const operand = (word: string) => `'${word.replace(/['\\]/g, "$&$&")}'`;

/** A tsquery for a word or phrase, as stem or as it stands. */
function wordQuery(term: Term, prefix: string | null, parameters: Parameters): string {
  if (term.kind === "phrase") return `phraseto_tsquery('simple', ${parameters.bind(term.text)}::text)`;
  const stem = `plainto_tsquery('english', ${parameters.bind(term.text)}::text)`;
  const asItIs = `to_tsquery('simple', ${parameters.bind(operand(term.text) + (prefix === term.text ? ":*" : ""))}::text)`;
  return `(${stem} || ${asItIs})`;
}

/** A condition on a document `s` that the term is in it. */
function contains(term: Term, prefix: string | null, parameters: Parameters): string {
  if (term.kind !== "substring") return `s.words @@ ${wordQuery(term, prefix, parameters)}`;
  const pattern = parameters.bind(escapeLike(term.text));
  return `(s.label ILIKE ${pattern}::text OR s.body ILIKE ${pattern}::text)`;
}

/** Term → the dictionary's words that it may be a slip of. */
export type NearWords = ReadonlyMap<string, NearWord[]>;

const nearTo = (term: Term, near: NearWords): NearWord[] => (canMistype(term) ? (near.get(term.text) ?? []) : []);

/** As `contains`, or nearly. */
function nearlyContains(term: Term, prefix: string | null, near: NearWords, parameters: Parameters): string {
  const words = nearTo(term, near);
  if (words.length === 0) return contains(term, prefix, parameters);
  const any = words.map(({ word }) => operand(word)).join(" | ");
  return `s.words @@ (${wordQuery(term, prefix, parameters)} || ${parameters.bind(any)}::tsquery)`;
}

/** How nearly a document has the term, 0..1: a word of the label counts more than one of the explanation. */
function likenessSql(term: Term, near: NearWords, parameters: Parameters): string {
  const held = nearTo(term, near).map(({ word, likeness }) => {
    const [label, anywhere] = [parameters.bind(`${operand(word)}:A`), parameters.bind(operand(word))];
    const share = parameters.bind(likeness);
    return `${share}::float8 * CASE WHEN s.words @@ ${label}::tsquery THEN 1 WHEN s.words @@ ${anywhere}::tsquery THEN 0.8 ELSE 0 END`;
  });
  return held.length ? `greatest(${held.join(", ")})` : "1";
}

export function matchSql(parsed: ParsedSearch, { dictionaryId, hooks }: Target, near: NearWords, parameters: Parameters): string {
  const parts: string[] = [];
  if (parsed.key && (parsed.key.hook === null || hooks.includes(parsed.key.hook))) {
    parts.push(
      `SELECT f.index, 0::float8 AS cost FROM feature f
       WHERE f.dictionary_id = ${parameters.bind(dictionaryId)}::int AND f.index = ${parameters.bind(parsed.key.index)}::int`,
    );
  }
  if (!parsed.keyOnly && parsed.terms.length) {
    const dictionary = `${parameters.bind(dictionaryId)}::int`;
    const words = parsed.terms.filter((term) => term.kind !== "substring");
    // Of several words, how near they stand matters; of one, it is the same and takes longer.
    const rank = words.length
      ? `${words.length > 1 ? "ts_rank_cd" : "ts_rank"}(s.words, ${words.map((term) => wordQuery(term, parsed.prefix, parameters)).join(" && ")})::float8`
      : "0::float8";
    const exact = parsed.terms.map((term) => contains(term, parsed.prefix, parameters)).join(" AND ");
    const whole = `${parameters.bind(parsed.terms.map((term) => term.text).join(" "))}::text`;
    // The label itself comes before labels that have the words, and those before explanations that have them.
    parts.push(
      `SELECT s.index, CASE WHEN lower(s.label) = lower(${whole}) THEN 1::float8 ELSE 1 + 1 / (1.1 + ${rank}) END AS cost FROM search_document s
       WHERE s.dictionary_id = ${dictionary} AND ${exact}`,
    );
    const mistyped = parsed.terms.filter((term) => nearTo(term, near).length > 0);
    if (mistyped.length) {
      const likeness = mistyped.map((term) => likenessSql(term, near, parameters)).join(" + ");
      parts.push(
        `SELECT s.index, 3 - (${likeness}) / ${mistyped.length} AS cost FROM search_document s
         WHERE s.dictionary_id = ${dictionary} AND ${parsed.terms.map((term) => nearlyContains(term, parsed.prefix, near, parameters)).join(" AND ")}
           AND NOT EXISTS (SELECT FROM search_document s WHERE s.dictionary_id = ${dictionary} AND ${exact})`,
      );
    }
  }
  if (parts.length === 0) return "SELECT 0 AS index, 0::float8 AS cost WHERE false";
  const all = parts.join("\nUNION ALL\n");
  // Words and slips of them exclude each other; only a key may be found again.
  return parsed.key ? `SELECT index, min(cost) AS cost FROM (${all}) hit GROUP BY index` : all;
}

/** Features with any of these are left out; ones without words have none of them. */
export function withoutSql(without: Term[], dictionaryId: number, parameters: Parameters): string {
  return `NOT EXISTS (SELECT FROM search_document s WHERE s.dictionary_id = ${parameters.bind(dictionaryId)}::int AND s.index = f.index
    AND (${without.map((term) => contains(term, null, parameters)).join(" OR ")}))`;
}

/** The filter, and that the feature's words hold every quoted term. */
export function quotedSql(quoted: Term[], dictionaryId: number, filter: FeatureFilter): FeatureFilter {
  if (quoted.length === 0) return filter;
  const parameters = new Parameters();
  parameters.values.push(...filter.parameters.values);
  const has = quoted.map((term) => contains(term, null, parameters)).join(" AND ");
  const dictionary = parameters.bind(dictionaryId);
  const sql = `${filter.sql} AND EXISTS (SELECT FROM search_document s WHERE s.dictionary_id = ${dictionary}::int AND s.index = f.index AND ${has})`;
  return { sql, parameters, narrows: true };
}

/** Whether each document has every term exactly, and its text with the words marked (U+E000 … U+E001). */
export function explainSql(parsed: ParsedSearch, dictionaryId: number, near: NearWords, indices: number[], parameters: Parameters): string {
  const words = parsed.terms.filter((term) => term.kind !== "substring");
  const query = words.length ? words.map((term) => wordQuery(term, parsed.prefix, parameters)).join(" || ") : "''::tsquery";
  const exact = parsed.terms.map((term) => contains(term, parsed.prefix, parameters)).join(" AND ");
  const nearly = parsed.terms.map((term) => nearlyContains(term, parsed.prefix, near, parameters)).join(" AND ");
  const marked = `StartSel=${markStart}, StopSel=${markStop}`;
  const options = `${parameters.bind(`${marked}, HighlightAll=true`)}::text`;
  const excerpt = `${parameters.bind(`${marked}, MaxWords=28, MinWords=12, MaxFragments=1`)}::text`;
  return `SELECT s.index, s.label, left(s.body, 400) AS body, (${exact}) AS exact, (${nearly}) AS nearly,
      ts_headline('english', s.label, q.query, ${options}) AS marked_label, ts_headline('english', s.body, q.query, ${excerpt}) AS marked_body
    FROM search_document s CROSS JOIN (SELECT ${query} AS query) q
    WHERE s.dictionary_id = ${parameters.bind(dictionaryId)}::int AND s.index = ANY(${parameters.bind(indices)}::int[])`;
}
