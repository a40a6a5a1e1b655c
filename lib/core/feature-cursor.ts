/**
 * Where a page of a feature list begins and ends: a cursor names the row at the edge of a page, so that a page holds the same rows whichever
 * way one walks. Features that lack the sort's metric come last in both directions, by index, those that never fire after those that do.
 */
import { z } from "zod";
import { FacetError } from "./errors";
import type { FeatureQuery } from "./feature-query";
import type { MetricKey } from "./records";

/** Where a list's rows lie, in its order: those with the sort's key, then those without it that fire, then the dead ones without it. */
export type Part = "keyed" | "missing" | "dead";

/** The key's value; where there is none, the part. */
const edgeSchema = z.union([z.number(), z.enum(["missing", "dead"])]);
const cursorSchema = z.tuple([z.string(), edgeSchema, z.number().int().min(0), z.enum(["after", "before"])]);

export interface Edge {
  value: z.infer<typeof edgeSchema>;
  index: number;
}

export interface Cursor {
  edge: Edge;
  side: "after" | "before";
}

/** A row as its place in the list needs it. `key`: of the sort; null where the feature lacks it. */
export interface PlacedRow {
  key: number | null;
  index: number;
  dead: boolean;
}

/** A row's place in the list. */
export function edgeOf(row: PlacedRow): Edge {
  return { value: row.key ?? (row.dead ? "dead" : "missing"), index: row.index };
}

/** Types of the metrics as they are stored: a value is compared in its own precision, so that one that was shown finds itself. */
export const metricTypes: Record<MetricKey, "float8" | "real" | "int"> = {
  density: "float8",
  text_density: "float8",
  max_activation: "real",
  mean_activation: "real",
  image_share: "float8",
  iou: "float8",
  steer: "float8",
  clip: "float8",
  consistency: "float8",
  detection: "float8",
  fuzzing: "float8",
  images: "int",
};

/** What a list is put in order by. */
export interface SortKind {
  /** `cost`: of what a search found, the lowest first. */
  by: "cost" | "index" | MetricKey;
  type: "float8" | "real" | "int";
  /** Features without the key exist: they form parts of their own. */
  nullable: boolean;
  descending: boolean;
}

/** `found`: the list is what a search found, each at a cost. */
export function sortKindOf(query: FeatureQuery, found: boolean): SortKind {
  if (query.sort === "relevance") {
    // Cost counts up: the best match first, equal ones by index.
    return found
      ? { by: "cost", type: "float8", nullable: false, descending: false }
      : { by: "index", type: "int", nullable: false, descending: false };
  }
  const descending = query.direction === "desc";
  if (query.sort === "index") return { by: "index", type: "int", nullable: false, descending };
  return { by: query.sort, type: metricTypes[query.sort], nullable: true, descending };
}

const orderName = (query: FeatureQuery) => `${query.direction === "desc" ? "-" : ""}${query.sort}`;

const toBase64Url = (text: string) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const fromBase64Url = (text: string) => atob(text.replaceAll("-", "+").replaceAll("_", "/"));

export function writeCursor(query: FeatureQuery, edge: Edge, side: Cursor["side"]): string {
  return toBase64Url(JSON.stringify([orderName(query), edge.value, edge.index, side]));
}

/** Whether a sort's key can be this: the database refuses a number that its type does not hold. */
function isKeyOf(kind: SortKind, value: Edge["value"]): boolean {
  if (typeof value === "string") return kind.nullable;
  if (kind.type === "int") return Number.isInteger(value) && Math.abs(value) <= 2_147_483_647;
  // a number too small for the type counts as out of range as well
  return kind.type !== "real" || value === 0 || (Number.isFinite(Math.fround(value)) && Math.fround(value) !== 0);
}

/** The query's cursor; null where it has none. Throws `invalid_request` for one that is not of this list. */
export function readCursor(query: FeatureQuery, kind: SortKind): Cursor | null {
  if (query.cursor === null) return null;
  let parsed: z.infer<typeof cursorSchema>;
  try {
    parsed = cursorSchema.parse(JSON.parse(fromBase64Url(query.cursor)));
  } catch (cause) {
    throw new FacetError("invalid_request", "The cursor is not one of this API.", {
      fix: "Leave the cursor out to begin at the start.",
      cause,
    });
  }
  const [order, value, index, side] = parsed;
  if (order !== orderName(query)) {
    throw new FacetError("invalid_request", "The cursor belongs to another order of the list.", {
      fix: "Leave the cursor out to begin at the start.",
    });
  }
  if (index > 2_147_483_647 || !isKeyOf(kind, value)) throw new FacetError("invalid_request", "The cursor is not one of this API.");
  return { edge: { value, index }, side };
}

/** The cursors of a page of rows in list order. `more`: there are rows beyond it, in the direction that it was read in. */
export function pageCursors(
  query: FeatureQuery,
  cursor: Cursor | null,
  rows: readonly PlacedRow[],
  more: boolean,
): { next: string | null; previous: string | null } {
  const [first, last] = [rows[0], rows.at(-1)];
  const backwards = cursor?.side === "before";
  // Where one came from there is at least the row of the cursor.
  const hasNext = backwards ? true : more;
  const hasPrevious = backwards ? more : cursor !== null;
  return {
    next: hasNext && last ? writeCursor(query, edgeOf(last), "after") : null,
    previous: hasPrevious && first ? writeCursor(query, edgeOf(first), "before") : null,
  };
}
