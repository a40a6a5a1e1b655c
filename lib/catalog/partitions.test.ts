import { afterAll, beforeAll, expect, it } from "vitest";
import { importBundle } from "./import-bundle";
import type { ImportProgress } from "./import-progress";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
let bundle: string;
const told: ImportProgress[] = [];

beforeAll(async () => {
  catalog = await openTestCatalog();
  ({ bundle } = await catalog.add({ features: 30, images: 12 }));
});
afterAll(() => catalog?.close());

it("gives a dictionary's partitions the indexes of their tables, each once, and none that is not one of theirs", async () => {
  const indexes = (kind: string) =>
    catalog.db.rows<{ table: string; parts: string; parent: string | null }>(
      `SELECT regexp_replace(t.relname, '_d[0-9]+$', '') AS table, pg_get_expr(i.indpred, i.indrelid) AS partial,
         regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING ', '') AS parts, i.indisprimary AS key, i.indisvalid AS valid
       FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE t.relnamespace = current_schema()::regnamespace
         AND t.relkind = '${kind}' AND (t.relispartition OR t.relkind = 'p') ORDER BY t.relname, parts`,
    );
  const partitioned = await indexes("p");
  expect(partitioned.length).toBeGreaterThan(20);
  expect(await indexes("r")).toEqual(partitioned);
  const loose = await catalog.db.rows(
    `SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
     WHERE t.relispartition AND t.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)`,
  );
  expect(loose).toEqual([]);
});

it("tells which index of how many is being built, and counts no rows meanwhile", async () => {
  await catalog.db.rows("UPDATE dictionary SET content_sha256 = 'another'");
  await importBundle(catalog.db, bundle, { onProgress: (progress) => told.push(progress) });
  const building = told.filter(({ stage }) => stage.startsWith("index "));
  const stages = [...new Set(building.map(({ stage }) => stage))];
  expect(stages[0]).toMatch(/^index 1 of \d+ \(feature\)$/);
  const of = Number(/of (\d+)/.exec(stages[0] ?? "")?.[1]);
  expect(stages).toHaveLength(of);
  expect(stages.at(-1)).toBe(`index ${of} of ${of} (feature_token)`);
  for (const { done, total } of building) expect([done, total]).toEqual([0, 0]);
  // Whoever reads rows tells them.
  expect(told.find(({ stage }) => stage === "activations")).toMatchObject({ total: expect.any(Number) });
});
