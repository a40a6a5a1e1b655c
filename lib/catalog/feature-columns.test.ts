import { afterAll, beforeAll, expect, test } from "vitest";
import { emptyFeatureQuery, type FeatureQuery } from "@/lib/core/feature-query";
import { createRandom } from "@/lib/core/random";
import { conceptClasses, flagKeys, metricKeys, scoreKeys } from "@/lib/core/records";
import type { Queryable } from "./db";
import { locateDictionary } from "./dictionaries";
import { passColumns, passInMemory, readColumns } from "./feature-columns";
import { featurePage } from "./feature-list";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
let id: number;

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({ features: 120 });
  id = (await locateDictionary(catalog.db, ref)).id;
});

afterAll(() => catalog.close());

/** Any of the filters, with bounds that some values meet exactly. */
function drawQuery(random: () => number, values: Record<string, number[]>): FeatureQuery {
  const query: FeatureQuery = { ...emptyFeatureQuery, dictionary: ref, limit: 1, ranges: {}, flags: {}, concepts: [], scoredBy: [] };
  const some = <T>(of: readonly T[]) => of[Math.floor(random() * of.length)] as T;
  for (let i = 0; i < 2; i++) {
    const key = some(metricKeys);
    const bound = () => (random() < 0.5 ? some(values[key] ?? [0]) : random());
    query.ranges[key] = random() < 0.5 ? { min: bound() } : random() < 0.5 ? { max: bound() } : { min: bound(), max: bound() };
  }
  if (random() < 0.4) query.flags[some(flagKeys)] = random() < 0.5;
  if (random() < 0.3) query.concepts = [some(conceptClasses), "object"];
  if (random() < 0.3) query.scoredBy = [some(scoreKeys), some(scoreKeys)];
  return query;
}

test("counts what the database counts, whatever the filters", async () => {
  const columns = await readColumns(catalog.db, id);
  expect(columns.rows).toBe(120);
  const rows = await catalog.db.rows<Record<string, number | null>>(
    `SELECT ${metricKeys.join(", ")} FROM feature WHERE dictionary_id = $1`,
    [id],
  );
  const values = Object.fromEntries(metricKeys.map((key) => [key, rows.flatMap((row) => row[key] ?? [])]));
  const random = createRandom(11);
  let between = 0;
  for (let i = 0; i < 300; i++) {
    const query = drawQuery(random, values);
    const { total } = await featurePage(catalog.db, id, query, null);
    expect(passColumns(columns, query).count, JSON.stringify(query)).toBe(total);
    if (total > 0 && total < 120) between++;
  }
  expect(between).toBeGreaterThan(50);
});

test("a large dictionary is read once and counted in memory from then on; a small one never", async () => {
  const query: FeatureQuery = { ...emptyFeatureQuery, flags: { dead: true } };
  const [row] = await catalog.db.rows<{ dead: number }>("SELECT count(*)::int AS dead FROM feature WHERE dictionary_id = $1 AND dead", [
    id,
  ]);
  const asked: string[] = [];
  const watched = {
    rows: (sql: string, values?: unknown[]) => {
      asked.push(sql);
      return catalog.db.rows(sql, values);
    },
  } as typeof catalog.db;
  expect(passInMemory(watched, id, query, 100)).toBeNull();
  await expect.poll(() => passInMemory(watched, id, query, 100)?.count).toBe(row?.dead);
  expect(asked.filter((sql) => sql.includes("string_agg"))).toHaveLength(1);
  const other = { rows: watched.rows } as typeof catalog.db;
  expect(passInMemory(other, id, query, 1_000)).toBeNull();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(passInMemory(other, id, query, 1_000)).toBeNull();
  expect(asked.filter((sql) => sql.includes("string_agg"))).toHaveLength(1);
});

test("a list is the same, page by page, with and without the columns in memory", async () => {
  const random = createRandom(12);
  const rows = await catalog.db.rows<Record<string, number | null>>(
    `SELECT ${metricKeys.join(", ")} FROM feature WHERE dictionary_id = $1`,
    [id],
  );
  const values = Object.fromEntries(metricKeys.map((key) => [key, rows.flatMap((row) => row[key] ?? [])]));
  const queries = Array.from({ length: 60 }, () => ({
    ...drawQuery(random, values),
    limit: 7,
    sort: "iou" as const,
    direction: "desc" as const,
  }));
  const walk = async (db: Queryable, query: FeatureQuery) => {
    const pages: unknown[] = [];
    for (let cursor: string | null = null; ; ) {
      const page = await featurePage(db, id, { ...query, cursor }, null);
      pages.push([page.total, page.items.map((card) => card.index)]);
      cursor = page.next;
      if (!cursor) return pages;
    }
  };
  const other: Queryable = { rows: (sql, bound) => catalog.db.rows(sql, bound) };
  await expect.poll(() => passInMemory(other, id, emptyFeatureQuery, 1)?.count).toBe(120);
  for (const query of queries) expect(await walk(other, query), JSON.stringify(query)).toEqual(await walk(catalog.db, query));
});
