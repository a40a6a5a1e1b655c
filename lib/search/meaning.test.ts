import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { embedDictionaries } from "./embed-dictionary";
import { featuresAround } from "./features-around";
import { listFeatures } from "./list-features";
import { mostNear } from "./meaning";
import { wordEmbedder } from "./test-embedder";

const ref = "test-model/model.layers.1";
const meanings = [
  ["dog", "puppy", "hound"],
  ["cat", "kitten"],
  ["star", "sun"],
  ["ring", "torus"],
  ["red", "crimson"],
];
const embedder = wordEmbedder(meanings);
let catalog: TestCatalog;

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features: 120,
    images: 60,
    edit: ({ explanations = [] }) => {
      const say = (index: number, label: string | null, text: string) => {
        for (const row of explanations) if (row.index === index && row.preferred) Object.assign(row, { label, text });
      };
      say(0, "puppy", "Young animals at play.");
      say(1, "dog", "Animals that bark.");
      say(2, null, "a hound in a field");
      say(4, "kitten", "Young animals asleep.");
    },
  });
}, 120_000);
afterAll(() => catalog?.close());

const list = (params: Record<string, string>, by: Parameters<typeof listFeatures>[2] = { embedder }) =>
  listFeatures(catalog.db, parseFeatureQuery({ dictionary: ref, ...params }), by);

describe("search by meaning", () => {
  it("says that a dictionary has no vectors, and finds words all the same", async () => {
    const page = await list({ q: "dog" });
    expect(page.meaning).toEqual({ state: "no_vectors", stored: null, here: "words" });
    expect(page.items.map((card) => card.index)).toEqual([1]);
    expect((await list({ q: "dog" }, { embedder: null })).meaning?.state).toBe("no_embedder");
  });

  it("makes each dictionary's vectors once, of labels or else of explanations, each text once", async () => {
    const seen: number[] = [];
    const made = await embedDictionaries(catalog.db, embedder, { onProgress: ({ done }) => seen.push(done) });
    expect(made).toEqual([{ ref, features: seen.at(-1) }]);
    expect(embedder.asked).toContain("puppy");
    expect(embedder.asked).toContain("a hound in a field");
    expect(new Set(embedder.asked).size).toBe(embedder.asked.length);
    expect(await embedDictionaries(catalog.db, embedder)).toEqual([]);
    const [row] = await catalog.db.rows<{ n: number; words: number; vectors: number; distinct: number }>(
      `SELECT (SELECT count(*)::int FROM search_meaning) AS n, (SELECT count(*)::int FROM search_document) AS words,
         (SELECT count(*)::int FROM search_vector) AS vectors, (SELECT count(DISTINCT embedding)::int FROM search_vector) AS distinct`,
    );
    expect(row?.n).toBe(row?.words);
    expect(row?.vectors).toBe(row?.distinct);
    expect(row?.vectors).toBeLessThan(row?.words as number);
  });

  it("ranks words before meanings and says which is which", async () => {
    const { items, meaning, total } = await list({ q: "dog" });
    expect(meaning?.state).toBe("used");
    expect(items[0]).toMatchObject({ index: 1, match: { kind: "words", highlight: "\uE000dog\uE001" } });
    expect(items.slice(1).map((card) => [card.index, card.match])).toEqual([
      [0, { kind: "meaning", highlight: null }],
      [2, { kind: "meaning", highlight: null }],
    ]);
    expect(total).toBe(3);
  });

  it("finds what has none of the words", async () => {
    const { items } = await list({ q: "crimson torus" });
    expect(items.length).toBeGreaterThan(0);
    for (const card of items) {
      expect(card.match?.kind).toBe("meaning");
      expect(card.label).toMatch(/red|ring/);
    }
  });

  it("applies filters, exclusions and quoted words before the limit", async () => {
    const all = await list({ q: "sun", limit: "100" });
    const objects = await list({ q: "sun", limit: "100", concept: "object", iou_min: "0.5" });
    expect(objects.items.map((card) => card.index)).toEqual(
      all.items.filter((card) => card.concept === "object" && (card.iou ?? 0) >= 0.5).map((card) => card.index),
    );
    expect(objects.total).toBe(objects.items.length);
    const without = await list({ q: "sun -green", limit: "100" });
    expect(without.items.map((card) => card.index)).toEqual(
      all.items.filter((card) => !card.label?.includes("green")).map((card) => card.index),
    );
    expect(without.total).toBeLessThan(all.total);
    const quoted = await list({ q: 'sun "green star"', limit: "100" });
    expect(quoted.total).toBeGreaterThan(0);
    for (const card of quoted.items) expect(card.label).toContain("green star");
  });

  it("asks nothing by meaning of keys, quoted phrases and exclusions alone", async () => {
    for (const q of ["#14", "14", '"dog"', "-dog", ""]) expect((await list({ q })).meaning, q).toBeNull();
    expect((await list({ q: '"hound dog"' })).total).toBe(0);
  });

  it("pages both ways over words and meanings, and knows what stands around", async () => {
    const whole = (await list({ q: "star", limit: "100" })).items.map((card) => card.index);
    expect(whole.length).toBeGreaterThan(10);
    const forward: number[] = [];
    let page = await list({ q: "star", limit: "3" });
    forward.push(...page.items.map((card) => card.index));
    while (page.next) {
      page = await list({ q: "star", limit: "3", cursor: page.next });
      forward.push(...page.items.map((card) => card.index));
    }
    expect(forward).toEqual(whole);
    const back = page.items.map((card) => card.index);
    while (page.previous) {
      page = await list({ q: "star", limit: "3", cursor: page.previous });
      back.unshift(...page.items.map((card) => card.index));
    }
    expect(back).toEqual(whole);
    const query = parseFeatureQuery({ dictionary: ref, q: "dog" });
    expect(await featuresAround(catalog.db, query, 0, { embedder })).toEqual({ previous: 1, next: 2, total: 3 });
  });

  it("is sorted by any metric as well", async () => {
    const { items, total } = await list({ q: "sun", sort: "-density", limit: "100" });
    const densities = items.map((card) => card.density ?? -1);
    expect(densities).toEqual([...densities].sort((a, b) => b - a));
    expect(total).toBeLessThanOrEqual(mostNear);
  });

  it("goes by words alone, and says so, with another embedder, a script it does not read, or one that fails", async () => {
    const other = await list({ q: "dog" }, { embedder: wordEmbedder(meanings, "newer words") });
    expect(other.meaning).toEqual({ state: "other_embedder", stored: "words", here: "newer words" });
    expect(other.items.map((card) => card.index)).toEqual([1]);
    expect((await list({ q: "собака" })).meaning?.state).toBe("not_read");
    const broken = { ...embedder, embed: () => Promise.reject(new Error("gone")) };
    const page = await list({ q: "hound" }, { embedder: broken });
    expect(page.meaning?.state).toBe("unavailable");
    expect(page.items.map((card) => card.index)).toEqual([2]);
  });

  it("leaves vectors as they were where making them is stopped", async () => {
    const stop = new AbortController();
    const slow = wordEmbedder(meanings, "third");
    const stopped = {
      ...slow,
      embed: (texts: readonly string[]) => {
        stop.abort();
        return slow.embed(texts);
      },
    };
    await expect(embedDictionaries(catalog.db, stopped, { signal: stop.signal })).rejects.toThrow();
    expect((await list({ q: "dog" })).meaning?.state).toBe("used");
    expect((await list({ q: "dog" })).total).toBe(3);
  });
});

describe("a dictionary too long to be read whole", () => {
  const rows = 10_000;
  const size = 16;
  let id: number;
  /** Pseudo-random coordinates, the same for the same number. */
  const coordinate = (i: number, j: number) => {
    let t = Math.imul((i * size + j + 1) ^ 0x9e3779b9, 0x85ebca6b);
    t = Math.imul(t ^ (t >>> 13), 0xc2b2ae35);
    return ((t ^ (t >>> 16)) >>> 0) / 2 ** 31 - 1;
  };
  /** Features of one label: 600 vectors that are equal. */
  const same = (i: number) => (i >= 1_000 && i < 1_600 ? 1_000 : i);
  const axis = (i: number) => Float32Array.from({ length: size }, (_, j) => coordinate(same(i), j));

  beforeAll(async () => {
    const { VectorWriter } = await import("@/lib/catalog/search-vectors");
    const { normalised } = await import("./embedder");
    await catalog.add({ model: "long", features: 20, images: 12 });
    id = (await catalog.db.rows<{ id: number }>("SELECT id FROM dictionary WHERE ref LIKE 'long/%'"))[0]?.id as number;
    await catalog.db.transaction(async (client) => {
      // Only what a list reads of a feature: its number and a filter.
      await client.query(
        `INSERT INTO feature (dictionary_id, index, density, images, active_tokens, dead, always_on, sink, explained)
         SELECT $1, i, (i % 100) / 100.0, 0, 0, false, false, false, false FROM generate_series(20, $2::int - 1) i`,
        [id, rows],
      );
      const writer = await VectorWriter.begin(client, id);
      for (let start = 0; start < rows; start += 1_000) {
        const indices = Array.from({ length: 1_000 }, (_, i) => start + i);
        await writer.write(
          indices,
          indices.map((i) => normalised(axis(i))),
        );
      }
      await writer.finish("axes");
    });
    await catalog.db.rows("ANALYZE feature");
  }, 120_000);

  it.each([1, 0.5, 0.1, 0.01])("answers with the nearest of a filter that keeps %s of it", async (share) => {
    const { nearestVectors, storedVectors } = await import("@/lib/catalog/search-vectors");
    const { Parameters } = await import("@/lib/catalog/feature-list");
    const { normalised } = await import("./embedder");
    const stored = await storedVectors(catalog.db, id);
    expect(stored).toEqual({ embedder: "axes", size, rows });
    const parameters = new Parameters();
    const conditions = [`f.dictionary_id = ${parameters.bind(id)}`, "f.index >= 20", `f.density < ${parameters.bind(share)}::float8`];
    const question = normalised(axis(5));
    const found = await nearestVectors(
      catalog.db,
      id,
      stored,
      question,
      { sql: conditions.join(" AND "), parameters, narrows: share < 1 },
      {
        limit: 50,
        least: -1,
      },
    );
    expect(found).toHaveLength(50);
    for (const { index } of found) expect((index % 100) / 100).toBeLessThan(share);
    const exact = Array.from({ length: rows }, (_, i) => i)
      .filter((i) => i >= 20 && (i % 100) / 100 < share)
      .map((i) => ({ i, similarity: normalised(axis(i)).reduce((sum, value, j) => sum + value * (question[j] as number), 0) }))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, 10)
      .map(({ i }) => i);
    const got = new Set(found.map(({ index }) => index));
    expect(exact.filter((i) => got.has(i)).length).toBeGreaterThanOrEqual(9);
  });

  it("finds features of one label among the others, however many there are", async () => {
    const { nearestVectors, storedVectors } = await import("@/lib/catalog/search-vectors");
    const { Parameters } = await import("@/lib/catalog/feature-list");
    const { normalised } = await import("./embedder");
    const stored = await storedVectors(catalog.db, id);
    const ask = (sql: string, parameters: InstanceType<typeof Parameters>, limit: number) =>
      nearestVectors(catalog.db, id, stored, normalised(axis(1_000)), { sql, parameters, narrows: false }, { limit, least: -1 });
    const all = new Parameters();
    const found = await ask(`f.dictionary_id = ${all.bind(id)}`, all, 100);
    expect(found.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, i) => 1_000 + i));
    // Of the hundreds only those that pass, and after them what is next.
    const some = new Parameters();
    const passing = await ask(`f.dictionary_id = ${some.bind(id)} AND (f.index >= ${some.bind(1_590)}::int)`, some, 20);
    expect(passing.slice(0, 10).map(({ index }) => index)).toEqual(Array.from({ length: 10 }, (_, i) => 1_590 + i));
    expect(passing).toHaveLength(20);
  });
});
