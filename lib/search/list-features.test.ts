import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { type FeatureCard, type MetricKey, metricKeys } from "@/lib/core/records";
import { encodeBytes } from "@/lib/core/sparse-map";
import { listFeatures } from "./list-features";
import { addDetection, writtenTexts } from "./test-texts";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features: 120,
    images: 60,
    edit: ({ explanations = [], scores = [] }) => {
      addDetection(scores);
      for (const row of explanations) {
        const [label, text] = writtenTexts[row.index as number] ?? [];
        if (label && row.preferred) Object.assign(row, { label, text });
      }
    },
  });
}, 120_000);
afterAll(() => catalog?.close());

const list = (params: Record<string, string>) => listFeatures(catalog.db, parseFeatureQuery({ dictionary: ref, ...params }));
const found = async (q: string, params: Record<string, string> = {}) => (await list({ q, ...params })).items.map((card) => card.index);

/** The whole list, page by page. */
async function walkCards(params: Record<string, string>, limit: number): Promise<FeatureCard[][]> {
  let page = await list({ ...params, limit: String(limit) });
  const pages = [page.items];
  while (page.next) {
    page = await list({ ...params, limit: String(limit), cursor: page.next });
    pages.push(page.items);
  }
  return pages;
}

async function walk(params: Record<string, string>, limit: number): Promise<{ forward: number[]; backward: number[]; total: number }> {
  const forward: number[] = [];
  let page = await list({ ...params, limit: String(limit) });
  const pages = [page.items.map((card) => card.index)];
  forward.push(...(pages[0] ?? []));
  while (page.next) {
    page = await list({ ...params, limit: String(limit), cursor: page.next });
    pages.push(page.items.map((card) => card.index));
    forward.push(...(pages.at(-1) ?? []));
  }
  const backward = pages.at(-1) ?? [];
  const back: number[][] = [backward];
  while (page.previous) {
    page = await list({ ...params, limit: String(limit), cursor: page.previous });
    back.unshift(page.items.map((card) => card.index));
  }
  return { forward, backward: back.flat(), total: page.total };
}

const metricOf: Record<MetricKey, (card: FeatureCard) => number | null> = {
  density: (card) => card.density,
  text_density: (card) => card.textDensity,
  max_activation: (card) => card.maxActivation,
  mean_activation: (card) => card.meanActivation,
  image_share: (card) => card.imageShare,
  iou: (card) => card.iou,
  steer: (card) => card.steer,
  clip: (card) => card.clip,
  consistency: (card) => card.consistency,
  detection: (card) => card.detection,
  fuzzing: (card) => card.fuzzing,
  images: (card) => card.images,
};

describe("paging", () => {
  it.each(["index", "-index", ...metricKeys.flatMap((key) => [key, `-${key}`])])(
    "gives every feature once, both ways, by %s",
    async (sort) => {
      const { forward, backward, total } = await walk({ sort }, 17);
      expect(total).toBe(120);
      expect(new Set(forward).size).toBe(120);
      expect(backward).toEqual(forward);
      expect((await walk({ sort }, 50)).forward).toEqual(forward);
    },
  );

  it.each(metricKeys.flatMap((key) => [key, `-${key}`]))("orders by %s, features without it last, dead ones at the end", async (sort) => {
    const key = sort.replace("-", "") as MetricKey;
    const items = (await walkCards({ sort }, 50)).flat();
    const known = items.filter((card) => metricOf[key](card) !== null);
    expect(items.slice(0, known.length)).toEqual(known);
    const values = known.map((card) => metricOf[key](card) as number);
    expect(values).toEqual([...values].sort((a, b) => (sort.startsWith("-") ? b - a : a - b)));
    const rest = items.slice(known.length);
    expect(rest).toEqual([...rest].sort((a, b) => Number(a.dead) - Number(b.dead) || a.index - b.index));
  });

  it("begins with what steers best where no order is asked for", async () => {
    const { items } = await list({});
    expect(items).toEqual((await list({ sort: "-steer" })).items);
    expect(items[0]?.steer).toBe(Math.max(...(await walkCards({}, 100)).flat().map((card) => card.steer ?? 0)));
    const all = (await walkCards({}, 7)).flat();
    expect(all.findIndex((card) => card.dead)).toBe(all.length - all.filter((card) => card.dead).length);
  });

  it("walks a search and its filters both ways", async () => {
    const { forward, backward, total } = await walk({ q: "green", sort: "-steer", explained: "1" }, 3);
    expect(forward.length).toBe(total);
    expect(total).toBeGreaterThan(6);
    expect(backward).toEqual(forward);
    const relevance = await walk({ q: "plain background" }, 7);
    expect(relevance.backward).toEqual(relevance.forward);
    expect(new Set(relevance.forward).size).toBe(relevance.total);
  });

  it("refuses cursors whose value the sort's column cannot hold", async () => {
    for (const [sort, value] of [
      ["images", 1.5],
      ["images", 3e9],
      ["max_activation", 1e300],
      ["max_activation", 1e-300],
    ] as const) {
      const cursor = Buffer.from(JSON.stringify([sort, value, 1, "after"])).toString("base64url");
      await expect(list({ sort, cursor }), `${sort} ${value}`).rejects.toMatchObject({ code: "invalid_request" });
    }
  });

  it("refuses cursors of other lists", async () => {
    const { next } = await list({ sort: "density", limit: "5" });
    await expect(list({ sort: "-density", cursor: next as string })).rejects.toMatchObject({ code: "invalid_request" });
    await expect(list({ sort: "density", cursor: "bm9uc2Vuc2U" })).rejects.toMatchObject({ code: "invalid_request" });
    for (const forged of ['["index","dead",5,"after"]', '["index",null,5,"after"]', '["index","alive",5,"after"]']) {
      await expect(list({ sort: "index", cursor: Buffer.from(forged).toString("base64url") })).rejects.toMatchObject({
        code: "invalid_request",
      });
    }
  });
});

describe("filters", () => {
  it("keeps what lies in a range, ends included", async () => {
    const all = (await walk({}, 100)).forward.length;
    const { items, total } = await list({ iou_min: "0.2", iou_max: "0.6", limit: "100" });
    expect(total).toBe(items.length);
    expect(total).toBeLessThan(all);
    for (const card of items) expect(card.iou).toSatisfy((iou: number) => iou >= 0.2 && iou <= 0.6);
    const exact = String(items[0]?.maxActivation);
    expect((await list({ max_activation_min: exact, max_activation_max: exact })).total).toBeGreaterThan(0);
  });

  it("filters by concept and flags, together with a search, before the limit", async () => {
    expect((await list({ dead: "1" })).items.every((card) => card.dead)).toBe(true);
    expect((await list({ dead: "1" })).total + (await list({ dead: "0" })).total).toBe(120);
    expect((await list({ sink: "1" })).items.map((card) => card.index)).toEqual([1]);
    const { items } = await list({ q: "green", concept: "colour", limit: "2" });
    expect(items).toHaveLength(2);
    for (const card of items) expect(card).toMatchObject({ concept: "colour", label: "green things" });
    expect((await list({ concept: "emotion" })).total).toBe(0);
  });

  it("keeps what was scored by any of the scores named, whatever the score", async () => {
    const detected = await list({ scored_by: "detection", limit: "100" });
    expect(detected.total).toBeGreaterThan(10);
    expect(detected.items.map((card) => card.detection)).toContain(0);
    for (const card of detected.items) expect(card.detection).not.toBeNull();
    const either = await list({ scored_by: "detection,iou", limit: "100" });
    expect(either.total).toBeGreaterThan(detected.total);
    for (const card of either.items) expect(card.detection ?? card.iou).not.toBeNull();
    expect((await list({ scored_by: "fuzzing" })).total).toBe(0);
    const above = await list({ detection_min: "0.5", limit: "100" });
    expect(above.total).toBeGreaterThan(0);
    for (const card of above.items) expect(card.detection).toBeGreaterThanOrEqual(0.5);
  });

  it("names an unknown dictionary", async () => {
    await expect(list({ dictionary: "no/such" })).rejects.toMatchObject({ code: "dictionary_not_found" });
  });
});

describe("search", () => {
  it("jumps to a key", async () => {
    for (const q of ["#14", "model.layers.1_feature14", `${ref}_feature14`]) {
      const { items } = await list({ q });
      expect(items.map((card) => [card.index, card.match])).toEqual([[14, { kind: "key", highlight: null }]]);
    }
    expect((await found("14"))[0]).toBe(14);
    expect(await found("#120")).toEqual([]);
    expect(await found("model.layers.9_feature14")).toEqual([]);
    expect(await found("#14", { dead: "1" })).toEqual([]);
  });

  it("finds words by stem and beginning, and says where", async () => {
    expect(await found("elephants")).toEqual([0]);
    expect((await list({ q: "elephants" })).items[0]?.match).toEqual({ kind: "words", highlight: "\uE000elephant\uE001" });
    expect(await found("eleph")).toEqual([0]);
    expect((await list({ q: "lemon" })).items[0]?.match?.highlight).toContain("\uE000lemons\uE001");
    expect((await found("banana yellow"))[0]).toBe(4);
    expect(await found("café")).toEqual([5]);
  });

  it("keeps phrases in order and leaves out what is excluded", async () => {
    expect(await found('"grey elephant"')).toEqual([0]);
    expect(await found('"elephant grey"')).toEqual([]);
    const red = await found("green", { limit: "100" });
    const withoutThings = await found("green -things", { limit: "100" });
    expect(withoutThings.length).toBeGreaterThan(0);
    expect(withoutThings.length).toBeLessThan(red.length);
    const { total } = await list({ q: "-green" });
    expect(total).toBe(120 - (await list({ q: "green", explained: "1" })).total);
  });

  it("forgives typing mistakes where nothing is exact", async () => {
    for (const q of ["elephnt", "elehpant", "elephannt"]) {
      expect((await list({ q })).items[0]).toMatchObject({ index: 0, match: { kind: "typo", highlight: "\uE000elephant\uE001" } });
    }
    expect((await found("yelow fruit"))[0]).toBe(4);
    // Two letters the wrong way round leave a short word few trigrams of its own.
    expect((await list({ q: "paryt" })).items[0]).toMatchObject({
      index: 3,
      match: { kind: "typo", highlight: "\uE000party\uE001 face 🥳" },
    });
    const kinds = new Set((await list({ q: "green", limit: "100" })).items.map((card) => card.match?.kind));
    expect([...kinds]).toEqual(["words"]);
  });

  it("finds any script and symbol", async () => {
    expect(await found("собака")).toEqual([2]);
    expect(await found("果物")).toEqual([1]);
    expect((await list({ q: "果物" })).items[0]?.match).toEqual({ kind: "words", highlight: "黄色い\uE000果物\uE001" });
    expect(await found("🥳")).toEqual([3]);
    expect(await found("100%")).toContain(0);
  });

  it("puts a label that is the query before labels that have it", async () => {
    expect((await found("yellow fruit"))[0]).toBe(4);
    expect((await list({ q: "star", limit: "1" })).items[0]?.label).toBe("star");
  });

  it.each([
    "",
    "   ",
    "'; DROP TABLE feature; --",
    "a & b | !c <-> d:*",
    "((((",
    '"',
    '""""',
    "\\",
    "%_%",
    "'':*",
    "!!! ??? :::",
    "\u0000\u0001",
    "\ud800",
    "שלום עולם",
    "👩‍👩‍👧‍👦",
    "-",
    "- -- ---",
    "$1 $2 $$",
    "it's o'clock",
  ])("answers %j safely", async (q) => {
    const { items, total } = await list({ q });
    expect(total).toBeGreaterThanOrEqual(items.length);
    expect((await list({})).total).toBe(120);
  });

  it("answers two thousand characters, and refuses more", async () => {
    for (const q of [
      "x".repeat(2_000),
      "zzqx ".repeat(400),
      "狗".repeat(2_000),
      Array.from({ length: 400 }, (_, i) => `a${i}`).join(" "),
    ]) {
      expect((await list({ q })).total).toBe(0);
    }
    await expect(async () => list({ q: "x".repeat(2_001) })).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("cards", () => {
  it("weigh at most 60 kB a page compressed, fewer maps on each where the maps are large", async () => {
    await catalog.add({
      model: "wide",
      features: 60,
      images: 60,
      edit: ({ activations = [] }) => {
        // Every map covers the whole grid with values that nothing compresses.
        let state = 1;
        const noise = () => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          return 1 + (state >>> 8) / 2 ** 24;
        };
        for (const row of activations) {
          if (row.band === "text") continue;
          const positions = Uint16Array.from({ length: 144 }, (_, i) => i);
          Object.assign(row, encodeBytes({ positions, values: Float32Array.from(positions, noise) }));
        }
      },
    });
    const wide = await list({ dictionary: "wide/model.layers.1", dead: "0" });
    const usual = await list({ dead: "0" });
    for (const page of [wide, usual]) expect(gzipSync(JSON.stringify(page)).byteLength).toBeLessThan(60_000);
    // A page that is drawn by the server: as many bytes again are markup.
    const drawn = await list({ dictionary: "wide/model.layers.1", dead: "0", limit: "24" });
    expect(gzipSync(JSON.stringify(drawn)).byteLength).toBeLessThan(35_000);
    const maps = wide.items.map((card) => card.top.length);
    expect(Math.min(...maps)).toBeGreaterThan(0);
    expect(Math.max(...maps)).toBeLessThan(5);
    expect(Math.max(...usual.items.map((card) => card.top.length))).toBe(5);
  });

  it("carry their top maps, at most five", async () => {
    const { items } = await list({ dead: "0" });
    for (const card of items) {
      expect(card.top.length).toBeGreaterThan(0);
      expect(card.top.length).toBeLessThanOrEqual(5);
      expect(card.top[0]?.peak).toBeCloseTo(card.maxActivation ?? 0, 1);
    }
  });
});
