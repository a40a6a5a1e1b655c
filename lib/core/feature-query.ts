/**
 * What a list of features is asked for, and its form in an address. Pages, the API and links between them share this one parser, so that
 * what a person sees is what a link restores.
 */
import { FacetError } from "./errors";
import {
  type Concept,
  conceptClasses,
  type FlagKey,
  flagKeys,
  type MetricKey,
  metricKeys,
  type ScoreKey,
  type SortKey,
  scoreKeys,
  sortKeys,
} from "./records";

export type { FlagKey, SortKey } from "./records";
export type Direction = "asc" | "desc";
export interface Range {
  min?: number;
  max?: number;
}

export interface FeatureQuery {
  /** `<model>/<dictionary>`; empty in a page's query, where the path names it. */
  dictionary: string;
  /** First 12 hexadecimal digits of a version's key, to list that one in place of the latest. */
  version?: string;
  /** Search: a key, words, "a phrase", -without. At most `queryLimits.text` characters. */
  q: string;
  sort: SortKey;
  direction: Direction;
  /** Any of these; empty = all. */
  concepts: Concept[];
  /** Both ends included. A feature without the metric passes no range of it. */
  ranges: Partial<Record<MetricKey, Range>>;
  flags: Partial<Record<FlagKey, boolean>>;
  /** Has a score by any of these; empty = all. */
  scoredBy: ScoreKey[];
  /** Rows a page, 1 to `queryLimits.page`. */
  limit: number;
  cursor: string | null;
}

export const queryLimits = { text: 2_000, page: 100, defaultPage: 50, cursor: 512 } as const;

export interface Sort {
  sort: SortKey;
  direction: Direction;
}

/** The order of a whole list: what is worth opening comes first, features whose steering works; IoU would put plain backgrounds there. */
const listSort: Sort = { sort: "steer", direction: "desc" };

/** The order of a list that does not name one: a search by relevance, best first; a whole list by steering effect, from the greatest. */
export function defaultSort(q: string): Sort {
  return q.trim() ? { sort: "relevance", direction: "desc" } : listSort;
}

export const emptyFeatureQuery: FeatureQuery = {
  dictionary: "",
  q: "",
  ...listSort,
  concepts: [],
  ranges: {},
  flags: {},
  scoredBy: [],
  limit: queryLimits.defaultPage,
  cursor: null,
};

const known = new Set<string>([
  "dictionary",
  "v",
  "q",
  "sort",
  "concept",
  "scored_by",
  "limit",
  "cursor",
  ...flagKeys,
  ...metricKeys.flatMap((key) => [`${key}_min`, `${key}_max`]),
]);
export const featureQueryKeys: readonly string[] = [...known];

const isSortKey = (key: string): key is SortKey => (sortKeys as readonly string[]).includes(key);
const isScoreKey = (key: string): key is ScoreKey => (scoreKeys as readonly string[]).includes(key);
const isConcept = (key: string): key is Concept => (conceptClasses as readonly string[]).includes(key);

function bad(key: string, message: string): FacetError {
  return new FacetError("invalid_request", message, { fix: `Correct or remove "${key}".` });
}

function number(key: string, text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw bad(key, `"${key}" must be a number, not "${text.slice(0, 40)}".`);
  return value;
}

function parseSort(text: string): Sort {
  const descending = text.startsWith("-");
  const key = descending ? text.slice(1) : text;
  if (!isSortKey(key)) throw bad("sort", `"${key.slice(0, 40)}" is not a sort key; known are ${sortKeys.join(", ")}.`);
  return { sort: key, direction: descending || key === "relevance" ? "desc" : "asc" };
}

function parseVersion(v: string | undefined): Pick<FeatureQuery, "version"> {
  if (v === undefined) return {};
  if (!/^[0-9a-f]{12,64}$/.test(v)) throw bad("v", `"v" is the first 12 hexadecimal digits of a version, not "${v.slice(0, 40)}".`);
  return { version: v.slice(0, 12) };
}

function entriesOf(params: URLSearchParams | Record<string, string | string[] | undefined>): [string, string][] {
  if (params instanceof URLSearchParams) return [...params];
  return Object.entries(params).flatMap(([key, value]) =>
    value === undefined ? [] : Array.isArray(value) ? value.map((one): [string, string] => [key, one]) : [[key, value] as [string, string]],
  );
}

/**
 * Reads a query from an address. An empty value counts as absent. Throws `unknown_query_key` for a key that is not of this query and
 * `invalid_request` for a value that is not of its kind, or a key given twice.
 */
export function parseFeatureQuery(params: URLSearchParams | Record<string, string | string[] | undefined>): FeatureQuery {
  const values = new Map<string, string>();
  for (const [key, value] of entriesOf(params)) {
    if (!known.has(key)) throw new FacetError("unknown_query_key", `"${key.slice(0, 60)}" is not a query key of the feature list.`);
    if (values.has(key)) throw bad(key, `"${key}" is given twice.`);
    if (value !== "") values.set(key, value);
  }
  const q = values.get("q") ?? "";
  if ([...q].length > queryLimits.text) throw bad("q", `A search has at most ${queryLimits.text} characters.`);
  const sort = values.get("sort");
  const query: FeatureQuery = {
    ...emptyFeatureQuery,
    dictionary: values.get("dictionary") ?? "",
    ...parseVersion(values.get("v")),
    q,
    ...(sort ? parseSort(sort) : defaultSort(q)),
    concepts: [],
    ranges: {},
    flags: {},
    scoredBy: [],
    cursor: values.get("cursor") ?? null,
  };
  for (const concept of new Set((values.get("concept") ?? "").split(",").filter(Boolean))) {
    if (!isConcept(concept))
      throw bad("concept", `"${concept.slice(0, 40)}" is not a concept class; known are ${conceptClasses.join(", ")}.`);
    query.concepts.push(concept);
  }
  for (const key of metricKeys) {
    const min = values.get(`${key}_min`);
    const max = values.get(`${key}_max`);
    if (min === undefined && max === undefined) continue;
    const range: Range = {};
    if (min !== undefined) range.min = number(`${key}_min`, min);
    if (max !== undefined) range.max = number(`${key}_max`, max);
    query.ranges[key] = range;
  }
  for (const key of flagKeys) {
    const value = values.get(key);
    if (value === undefined) continue;
    if (value !== "1" && value !== "0") throw bad(key, `"${key}" is 1 or 0, not "${value.slice(0, 40)}".`);
    query.flags[key] = value === "1";
  }
  for (const score of new Set((values.get("scored_by") ?? "").split(",").filter(Boolean))) {
    if (!isScoreKey(score)) throw bad("scored_by", `"${score.slice(0, 40)}" is not a score; known are ${scoreKeys.join(", ")}.`);
    query.scoredBy.push(score);
  }
  const limit = values.get("limit");
  if (limit !== undefined) {
    query.limit = number("limit", limit);
    if (!Number.isInteger(query.limit) || query.limit < 1 || query.limit > queryLimits.page) {
      throw bad("limit", `"limit" is a whole number from 1 to ${queryLimits.page}.`);
    }
  }
  if ((query.cursor?.length ?? 0) > queryLimits.cursor) throw bad("cursor", "The cursor is not one of this API.");
  return query;
}

/** The inverse of `parseFeatureQuery`: what differs from the defaults, in a fixed order, so that equal queries have equal addresses. */
export function featureQueryParams(query: FeatureQuery): Record<string, string> {
  const params: Record<string, string> = {};
  if (query.dictionary) params.dictionary = query.dictionary;
  if (query.version) params.v = query.version;
  if (query.q) params.q = query.q;
  const usual = defaultSort(query.q);
  if (query.sort !== usual.sort || (query.direction !== usual.direction && query.sort !== "relevance")) {
    params.sort = `${query.direction === "desc" && query.sort !== "relevance" ? "-" : ""}${query.sort}`;
  }
  if (query.concepts.length) params.concept = query.concepts.join(",");
  for (const key of metricKeys) {
    const range = query.ranges[key];
    if (range?.min !== undefined) params[`${key}_min`] = String(range.min);
    if (range?.max !== undefined) params[`${key}_max`] = String(range.max);
  }
  for (const key of flagKeys) {
    const flag = query.flags[key];
    if (flag !== undefined) params[key] = flag ? "1" : "0";
  }
  if (query.scoredBy.length) params.scored_by = query.scoredBy.join(",");
  if (query.limit !== queryLimits.defaultPage) params.limit = String(query.limit);
  if (query.cursor) params.cursor = query.cursor;
  return params;
}
