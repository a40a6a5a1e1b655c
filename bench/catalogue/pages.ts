/**
 * Sorted and filtered pages of 50, as the API answers them: the whole question, its count included, which no page has asked before. The bytes are
 * the answer's, compressed as the server compresses it.
 */
import { gzipSync } from "node:zlib";
import type { Database } from "@/lib/catalog/db";
import { writeCursor } from "@/lib/core/feature-cursor";
import { emptyFeatureQuery, type FeatureQuery } from "@/lib/core/feature-query";
import { createRandom } from "@/lib/core/random";
import type { MetricKey } from "@/lib/core/records";
import { listFeatures } from "@/lib/search/list-features";
import { quantile, round, summarise, type Times, timed } from "./timing";

const sorts: [FeatureQuery["sort"], FeatureQuery["direction"]][] = [
  ["steer", "desc"],
  ["density", "desc"],
  ["density", "asc"],
  ["max_activation", "desc"],
  ["iou", "desc"],
  ["clip", "asc"],
  ["images", "desc"],
  ["index", "asc"],
];

/** Name → a filter, drawn anew each time so that its rows were never counted before. The share of the features that pass is measured. */
const filters: Record<string, (random: () => number) => Partial<FeatureQuery>> = {
  none: () => ({}),
  "alive and explained": (random) => ({ flags: { dead: false, explained: true }, ranges: { density: { min: random() * 1e-6 } } }),
  "density, about half": (random) => ({ ranges: { density: { min: 2e-4 + random() * 1e-4 } } }),
  "concept and flags": (random) => ({
    concepts: ["part"],
    flags: { always_on: false, sink: false },
    ranges: { density: { min: random() * 1e-5 } },
  }),
  "two ranges": (random) => ({ ranges: { iou: { min: 0.5 + random() * 0.05 }, image_share: { min: 0.7 + random() * 0.1 } } }),
  "concept and two ranges": (random) => ({
    concepts: ["emotion", "text"],
    ranges: { density: { min: 1e-3 + random() * 1e-4 }, clip: { min: 0.25 + random() * 0.01 } },
  }),
  "four ranges": (random) => ({
    ranges: {
      density: { min: 5e-3 + random() * 1e-3 },
      iou: { min: 0.7 + random() * 0.05 },
      consistency: { min: 0.8 },
      max_activation: { max: 8 + random() },
    },
  }),
};

const columns: Record<string, string> = { index: "index" };

/** A place somewhere in the list, as the page before it would have named it. */
async function deepCursor(
  db: Database,
  dictionaryId: number,
  query: FeatureQuery,
  features: number,
  random: () => number,
): Promise<string> {
  const column = columns[query.sort] ?? (query.sort as MetricKey);
  const [row] = await db.rows<{ index: number; key: number }>(
    `SELECT index, ${column} AS key FROM feature WHERE dictionary_id = $1 AND index >= $2 AND ${column} IS NOT NULL ORDER BY index LIMIT 1`,
    [dictionaryId, Math.floor(random() * features * 0.9)],
  );
  if (!row) throw new Error(`No feature has ${column}.`);
  return writeCursor(query, { value: row.key, index: row.index }, "after");
}

export interface PagesMeasure {
  all: Times;
  /** Filter → times of first and of deep pages, and the share of features that pass. */
  filters: Record<string, { share: number; first: Times; deep: Times }>;
  sorts: Record<string, Times>;
  /** Bytes of an answer. */
  bytes: { p50: number; max: number; uncompressedP50: number };
}

export async function measurePages(
  db: Database,
  ref: string,
  dictionaryId: number,
  features: number,
  rounds: number,
  seed = 1,
): Promise<PagesMeasure> {
  const random = createRandom(seed);
  const all: number[] = [];
  const [sizes, plain]: [number[], number[]] = [[], []];
  const bySort = new Map<string, number[]>();
  const byFilter = new Map<string, { total: number; first: number[]; deep: number[] }>();
  for (let round = -1; round < rounds; round++) {
    for (const [name, filter] of Object.entries(filters)) {
      for (const [sort, direction] of sorts) {
        for (const depth of ["first", "deep"] as const) {
          const query: FeatureQuery = { ...emptyFeatureQuery, dictionary: ref, sort, direction, ...filter(random) };
          if (depth === "deep") query.cursor = await deepCursor(db, dictionaryId, query, features, random);
          const [page, ms] = await timed(() => listFeatures(db, query));
          if (round < 0) continue;
          all.push(ms);
          const key = `${direction === "desc" ? "-" : ""}${sort}`;
          bySort.set(key, [...(bySort.get(key) ?? []), ms]);
          const entry = byFilter.get(name) ?? { total: page.total, first: [], deep: [] };
          entry[depth].push(ms);
          byFilter.set(name, entry);
          const body = JSON.stringify(page);
          sizes.push(gzipSync(body).byteLength);
          plain.push(body.length);
        }
      }
    }
  }
  return {
    all: summarise(all),
    filters: Object.fromEntries(
      [...byFilter].map(([name, { total, first, deep }]) => [
        name,
        { share: round(total / features, 4), first: summarise(first), deep: summarise(deep) },
      ]),
    ),
    sorts: Object.fromEntries([...bySort].map(([name, ms]) => [name, summarise(ms)])),
    bytes: { p50: quantile(sizes, 0.5), max: Math.max(...sizes), uncompressedP50: quantile(plain, 0.5) },
  };
}
