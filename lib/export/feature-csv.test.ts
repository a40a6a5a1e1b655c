/** The file of a list is the list, row by row and cell by cell. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { dropDictionary } from "@/lib/catalog/drop-dictionary";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { emptyFeatureQuery, type FeatureQuery, featureQueryParams, parseFeatureQuery } from "@/lib/core/feature-query";
import { withoutHighlight } from "@/lib/core/highlight";
import { type FeatureCard, metricKeys } from "@/lib/core/records";
import { listFeatures } from "@/lib/search/list-features";
import { csvColumns, featureCsv } from "./feature-csv";
import { parseListAddress } from "./list-address";

const ref = "test-model/model.layers.1";
const features = 2_300;
let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features,
    images: 6,
    edit: (tables) => {
      // Examples and neighbours are not in lists.
      for (const name of ["activations", "neighbours", "tokens"]) (tables[name] as unknown[]).length = 0;
      const explanations = (tables.explanations as Record<string, unknown>[]).filter(({ text }) => text !== null);
      const hard = [
        '=HYPERLINK("http://x","y")',
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        'a "quoted", text\nof two lines\r\n',
        "狗 🐶 שלום",
        "a;=1+1",
      ];
      for (const [i, text] of hard.entries()) Object.assign(explanations[3 * i] ?? {}, { text, label: text });
      for (const row of tables.features as Record<string, unknown>[]) if ((row.index as number) % 11 === 3) row.density = null;
    },
  });
}, 240_000);
afterAll(() => catalog?.close());

/** Reads RFC 4180. */
function parsed(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  for (const [, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    row.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === ",") continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

async function fileOf(query: FeatureQuery): Promise<string[][]> {
  let text = "";
  for await (const lines of (await featureCsv(catalog.db, query)).lines) text += lines;
  return parsed(text);
}

/** The list as a person pages through it. */
async function listOf(query: FeatureQuery): Promise<FeatureCard[]> {
  const items: FeatureCard[] = [];
  for (let cursor: string | null = null; ; ) {
    const page = await listFeatures(catalog.db, { ...query, limit: 100, cursor });
    items.push(...page.items);
    if (page.next === null) {
      expect(items).toHaveLength(page.total ?? -1);
      return items;
    }
    cursor = page.next;
  }
}

/** What a spreadsheet must not run has an apostrophe before it, which is all that a cell differs by. */
const plain = (text: string) => text.replace(/^'(?=\s*[=+\-@\t\r\n])/, "").replace(/([;\t]["\s]*)'(?=[=+\-@])/g, "$1");

it.each([
  "",
  "sort=index",
  "sort=-density",
  "sort=density&concept=object,colour",
  "sort=-text_density&dead=0&density_min=0.01&density_max=0.2",
  "sort=iou&explained=1&iou_min=0.25",
  "sort=-steer&scored_by=iou&sink=0",
  "q=red",
  'q="blue circle" -square',
  "q=squre&concept=object",
  "q=%2314",
  "q=-circle&sort=max_activation",
  "q=nothingatallislikethis",
  "dead=1&always_on=1",
])("is the list of %j", async (address) => {
  const { query } = parseListAddress(ref, address);
  // The button's address is read back as the same query.
  expect(parseFeatureQuery(featureQueryParams(query))).toEqual(query);
  const [columns, ...rows] = await fileOf(query);
  expect(columns).toEqual([...csvColumns]);
  const list = await listOf(query);
  expect(rows).toHaveLength(list.length);
  const cell = (value: string | number | boolean | null) => (value === null ? "" : String(value));
  for (const [i, card] of list.entries()) {
    const row = Object.fromEntries((columns ?? []).map((name, j) => [name, rows[i]?.[j] ?? "(no cell)"]));
    const values = card as unknown as Record<string, number | null>;
    for (const key of metricKeys)
      expect(row[key], key).toBe(cell(values[key.replace(/_(\w)/g, (_, c: string) => c.toUpperCase())] ?? null));
    expect([row.index, plain(row.label ?? ""), row.concept, row.dead, row.always_on, row.sink]).toEqual(
      [card.index, card.label, card.concept, card.dead, card.alwaysOn, card.sink].map(cell),
    );
    const why = card.match && [card.match.kind, card.match.highlight && withoutHighlight(card.match.highlight)].filter(Boolean).join(": ");
    expect(plain(row.match ?? "")).toBe(cell(why));
  }
});

it("begins no cell as a formula", async () => {
  const rows = await fileOf({ ...emptyFeatureQuery, dictionary: ref, sort: "index", direction: "asc" });
  const texts = rows.flatMap((row) => row.slice(1, 4));
  expect(texts.filter((text) => text.startsWith("'")).length).toBeGreaterThanOrEqual(10);
  expect(texts.filter((text) => /^\s*[=+\-@]|[;\t]\s*[=+\-@]/.test(text))).toEqual([]);
});

it("is read page by page, as fast as it is taken, and never ends as a part of a list", async () => {
  const statements = vi.spyOn(catalog.db, "rows");
  const query = { ...emptyFeatureQuery, dictionary: ref, sort: "index" as const, direction: "asc" as const };
  const { lines } = await featureCsv(catalog.db, query);
  expect((await lines.next()).value).toMatch(/^index,/);
  statements.mockClear();
  expect(parsed((await lines.next()).value as string)).toHaveLength(1_000);
  expect(statements.mock.calls.length).toBeLessThanOrEqual(3);
  statements.mockRestore();
  // Dropped meanwhile.
  const other = await openTestCatalog();
  try {
    await other.add({ features: 1_200, images: 6 });
    const taken = (await featureCsv(other.db, query)).lines;
    await taken.next();
    await taken.next();
    await dropDictionary(other.db, ref);
    await expect(taken.next()).rejects.toMatchObject({
      code: "dictionary_not_found",
      message: expect.stringContaining("while its list was written"),
    });
    await expect(featureCsv(catalog.db, query, "ffffffffffff")).rejects.toMatchObject({ code: "version_mismatch" });
  } finally {
    await other.close();
  }
}, 120_000);
