/**
 * A page of features, sorted by any metric both ways, filtered and matched against a search. Paging is by keyset: a cursor names the row
 * at the edge of a page, so that a page holds the same rows whichever way one walks. Features that lack the sort's metric come last in
 * both directions, by index, those that never fire after those that do. Filters and search act before the limit.
 */
import { type Edge, metricTypes, type Part, pageCursors, readCursor, sortKindOf } from "@/lib/core/feature-cursor";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { type FeatureCard, type FeaturePage, flagKeys, type Meaning, metricKeys } from "@/lib/core/records";
import type { Queryable } from "./db";
import { passInMemory } from "./feature-columns";
import { type CardRow, cardColumns, toCard } from "./row-types";
import { attachTop } from "./top-maps";

/** Collects bound parameters; returns the placeholder of each. */
export class Parameters {
  readonly values: unknown[] = [];
  bind(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A feature that a search found otherwise than by SQL's own means, at a cost that the search gives it. */
export interface Hit {
  index: number;
  cost: number;
}

/** A search as SQL. */
export interface FeatureMatch {
  /** A SELECT of `(index int, cost float8)` of what is found, best = lowest cost; null when the search only excludes. */
  found: ((parameters: Parameters) => string) | null;
  /** Features that are found beside those, given the conditions on `f` that every feature of the list meets. */
  beside: ((filter: FeatureFilter) => Promise<Hit[]>) | null;
  /** A condition on `f` (feature); null when nothing is excluded. */
  condition: ((parameters: Parameters) => string) | null;
  /** Says on each card why it was found. */
  explain: (db: Queryable, cards: FeatureCard[], beside: Hit[]) => Promise<void>;
  meaning: Meaning | null;
}

export interface Order {
  /** SQL of the key, and its type. */
  key: string;
  type: string;
  /** Features without the key exist: they form parts of their own. */
  nullable: boolean;
  descending: boolean;
}

export function orderOf(query: FeatureQuery, found: boolean): Order {
  const { by, ...kind } = sortKindOf(query, found);
  return { ...kind, key: by === "cost" ? "m.cost" : `f.${by}` };
}

/** Conditions on `f` (feature), its dictionary among them. */
export interface FeatureFilter {
  sql: string;
  parameters: Parameters;
  /** Whether they may leave much of the dictionary out: more than what a search excludes. */
  narrows: boolean;
  /** Where the filters of a query are all that there is, no search: these, of which dictionary. `whole`: they leave nothing out. */
  only?: { dictionaryId: number; query: FeatureQuery; whole: boolean };
}

function filterOf(dictionaryId: number, query: FeatureQuery, match: FeatureMatch | null): FeatureFilter {
  const parameters = new Parameters();
  // The first parameter of every list: `$1`.
  const where = [`f.dictionary_id = ${parameters.bind(dictionaryId)}`];
  if (query.concepts.length) where.push(`f.concept = ANY(${parameters.bind(query.concepts)}::text[])`);
  for (const key of metricKeys) {
    const range = query.ranges[key];
    // Compared in the column's own precision, so that a value that was shown finds itself.
    const [bound, type] = metricTypes[key] === "real" ? [Math.fround, "real"] : [Number, "float8"];
    if (range?.min !== undefined) where.push(`f.${key} >= ${parameters.bind(bound(range.min))}::${type}`);
    if (range?.max !== undefined) where.push(`f.${key} <= ${parameters.bind(bound(range.max))}::${type}`);
  }
  for (const key of flagKeys) {
    const flag = query.flags[key];
    if (flag !== undefined) where.push(flag ? `f.${key}` : `NOT f.${key}`);
  }
  if (query.scoredBy.length) where.push(`(${query.scoredBy.map((key) => `f.${key} IS NOT NULL`).join(" OR ")})`);
  const narrows = where.length > 1;
  if (match?.condition) where.push(match.condition(parameters));
  return { sql: where.join(" AND "), parameters, narrows, ...(match?.condition ? {} : { only: { dictionaryId, query, whole: !narrows } }) };
}

export interface Source {
  /** FROM and WHERE. */
  sql: string;
  parameters: Parameters;
  /** What was found beside the SQL: part of it, and needed to say why. */
  beside: Hit[];
  /** Of a search that nothing narrows: a SELECT of `(index, cost)` of the list's features, to be cut before anything is joined to it. */
  found?: string;
  only?: FeatureFilter["only"];
}

/** Every condition of the list, search included, asked before any limit. With `db`, few features that pass are named, where they are known. */
export async function sourceOf(dictionaryId: number, query: FeatureQuery, match: FeatureMatch | null, db?: Queryable): Promise<Source> {
  const filter = filterOf(dictionaryId, query, match);
  const { parameters } = filter;
  const passing = filter.narrows && filter.only && db && passInMemory(db, dictionaryId, query)?.indices;
  // Beside the conditions, which the index alone need not hold to.
  if (passing) filter.sql += ` AND f.index = ANY(${parameters.bind(passing)}::int[])`;
  if (!match?.found) return { parameters, sql: `FROM feature f WHERE ${filter.sql}`, beside: [], only: filter.only };
  const beside = (await match.beside?.(filter)) ?? [];
  let found = match.found(parameters);
  if (beside.length) {
    const indices = parameters.bind(beside.map((hit) => hit.index));
    const costs = parameters.bind(beside.map((hit) => hit.cost));
    found = `SELECT index, min(cost) AS cost FROM (${found} UNION ALL SELECT * FROM unnest(${indices}::int[], ${costs}::float8[])) either GROUP BY index`;
  }
  const sql = `FROM feature f JOIN (${found}) m ON m.index = f.index WHERE ${filter.sql}`;
  return { sql, parameters, beside, ...(filter.narrows || match.condition ? {} : { found }) };
}

const counts = new WeakMap<Queryable, Map<string, number>>();
const mostCounts = 500;

/** How many features a list has. The rows of a dictionary's number never change, so that each page of a list need not count again. */
export async function countRows(db: Queryable, { sql, parameters, found, only }: Omit<Source, "beside">): Promise<number> {
  const inMemory = only && passInMemory(db, only.dictionaryId, only.query);
  if (inMemory) return inMemory.count;
  const before = counts.get(db)?.get(countKey({ sql, parameters }));
  if (before !== undefined) return before;
  // Every parameter must be named, that of the dictionary too.
  const counted = found ? `FROM (${found}) m WHERE $1::int IS NOT NULL` : sql;
  const [row] = only?.whole
    ? await db.rows<{ total: number }>("SELECT features AS total FROM dictionary WHERE id = $1", [only.dictionaryId])
    : await db.rows<{ total: number }>(`SELECT count(*)::int AS total ${counted}`, parameters.values);
  keepCount(db, { sql, parameters }, row?.total ?? 0);
  return row?.total ?? 0;
}

const countKey = ({ sql, parameters }: Pick<Source, "sql" | "parameters">) => JSON.stringify([sql, parameters.values]);

function keepCount(db: Queryable, source: Pick<Source, "sql" | "parameters">, total: number): void {
  const known = counts.get(db) ?? new Map<string, number>();
  counts.set(db, known);
  if (known.size >= mostCounts) known.delete(known.keys().next().value as string);
  known.set(countKey(source), total);
}

/** `total`: of the whole list, where it was asked for. */
type KeyedRow = CardRow & { key: number | null; total?: number };

/** Rows of one part beyond an edge, in list order or from its end. */
async function readPart(
  db: Queryable,
  source: Source,
  order: Order,
  part: Part,
  edge: Edge | null,
  backwards: boolean,
  limit: number,
  counted: boolean,
): Promise<KeyedRow[]> {
  const parameters = new Parameters();
  parameters.values.push(...source.parameters.values);
  const keyed = part === "keyed";
  // Without the key the index counts up whatever the direction.
  const descending = (keyed && order.descending) !== backwards;
  const beyond = descending ? "<" : ">";
  const where: string[] = [];
  if (order.nullable) where.push(`${order.key} IS ${keyed ? "NOT NULL" : "NULL"}`);
  if (!keyed) where.push(part === "dead" ? "f.dead" : "NOT f.dead");
  if (edge && keyed && order.key !== "f.index") {
    where.push(`(${order.key}, f.index) ${beyond} (${parameters.bind(edge.value)}::${order.type}, ${parameters.bind(edge.index)}::int)`);
  } else if (edge) where.push(`f.index ${beyond} ${parameters.bind(edge.index)}::int`);
  const total = counted ? ", count(*) OVER ()::int AS total" : "";
  if (source.found && order.key === "m.cost") {
    // Put in order and cut before the features are read: thousands may be found.
    const ordered = (table: string) => `${table}.cost ${descending ? "DESC" : "ASC"}, ${table}.index ${descending ? "DESC" : "ASC"}`;
    return db.rows<KeyedRow>(
      `SELECT ${cardColumns}, near.cost AS key ${counted ? ", near.total" : ""} FROM (
         SELECT m.index, m.cost ${total} FROM (${source.found}) m ${where.map((one) => `WHERE ${one.replaceAll("f.index", "m.index")}`).join(" ")}
         ORDER BY ${ordered("m")} LIMIT ${parameters.bind(limit)}::int
       ) near JOIN feature f ON f.dictionary_id = $1 AND f.index = near.index ORDER BY ${ordered("near")}`,
      parameters.values,
    );
  }
  const direction = descending ? "DESC" : "ASC";
  const by = keyed && order.key !== "f.index" ? `${order.key} ${direction}, f.index ${direction}` : `f.index ${direction}`;
  return db.rows<KeyedRow>(
    `SELECT ${cardColumns}, ${keyed ? order.key : "NULL"} AS key ${total} ${source.sql} ${where.map((one) => `AND ${one}`).join(" ")}
     ORDER BY ${by} LIMIT ${parameters.bind(limit)}::int`,
    parameters.values,
  );
}

/** Up to `limit` rows beyond `edge`, nearest first. `counted`: with the number of all that lie there, where no row lacks the key. */
export async function readRows(
  db: Queryable,
  source: Source,
  order: Order,
  edge: Edge | null,
  backwards: boolean,
  limit: number,
  counted = false,
): Promise<KeyedRow[]> {
  const parts: Part[] = order.nullable ? ["keyed", "missing", "dead"] : ["keyed"];
  if (backwards) parts.reverse();
  const at: Part = typeof edge?.value === "string" ? edge.value : "keyed";
  const rows: KeyedRow[] = [];
  for (const part of edge ? parts.slice(parts.indexOf(at)) : parts) {
    if (rows.length === limit) break;
    const within = edge && part === at ? edge : null;
    rows.push(...(await readPart(db, source, order, part, within, backwards, limit - rows.length, counted && !order.nullable)));
  }
  return rows;
}

/**
 * The page of `query` in one dictionary, by the database's number of it. Throws `invalid_request` for a cursor that is not of this list.
 */
export async function featurePage(
  db: Queryable,
  dictionaryId: number,
  query: FeatureQuery,
  match: FeatureMatch | null,
): Promise<FeaturePage> {
  const order = orderOf(query, match?.found != null);
  const cursor = readCursor(query, sortKindOf(query, match?.found != null));
  const source = await sourceOf(dictionaryId, query, match, db);
  const backwards = cursor?.side === "before";
  // A search is found whole to be put in order: what is counted then is not searched for again.
  const counted = match?.found != null && !cursor && !order.nullable;
  const rows = await readRows(db, source, order, cursor?.edge ?? null, backwards, query.limit + 1, counted);
  const more = rows.length > query.limit;
  if (more) rows.pop();
  if (backwards) rows.reverse();
  const total = counted ? (rows[0]?.total ?? 0) : await countRows(db, source);
  if (counted) keepCount(db, source, total);
  const items = rows.map(toCard);
  await attachTop(db, dictionaryId, items);
  await match?.explain(db, items, source.beside);
  return { items, ...pageCursors(query, cursor, rows, more), total, meaning: match?.meaning ?? null };
}
