/** Any query at all: made at random from what breaks parsers, over every script, answered with the same safety on either database. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { withoutHighlight } from "@/lib/core/highlight";
import { createRandom } from "@/lib/core/random";
import { embedDictionaries } from "./embed-dictionary";
import { listFeatures } from "./list-features";
import { wordEmbedder } from "./test-embedder";

const ref = "test-model/model.layers.1";
const embedder = wordEmbedder([
  ["star", "sun"],
  ["ring", "torus"],
]);
let catalog: TestCatalog;

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features: 60,
    images: 24,
    edit: ({ explanations = [] }) => {
      const odd = [
        "50 % off_price \\ 'quoted'",
        "שלום עולם",
        "مرحبا بالعالم",
        "नमस्ते दुनिया",
        "สวัสดีชาวโลก",
        "👩‍👩‍👧 family 🇨🇭",
        undefined,
        "ﷺ ẞ İstanbul ß",
      ];
      for (const row of explanations) {
        const text = row.preferred ? odd[row.index as number] : undefined;
        if (text) Object.assign(row, { label: text, text: `It says: ${text}` });
      }
    },
  });
  await embedDictionaries(catalog.db, embedder);
}, 120_000);
afterAll(() => catalog?.close());

const list = (params: Record<string, string>) => listFeatures(catalog.db, parseFeatureQuery({ dictionary: ref, ...params }), { embedder });

const pieces = [
  ..."\"'`\\%_*:&|!<>()[]{}#$@^~-–—+=?/;,.",
  ..." \t\n\r\u00a0\u200b\u200e\u202e\u2066\ufeff\u0000\u0001\u007f\ud800\udc00\ufffd\ue000\ue001",
  "--",
  "''",
  "<->",
  ":*",
  "$1",
  "$$",
  "/*",
  "*/",
  "\\x00",
  "E'\\''",
  "%s",
  "“",
  "”",
  "„",
  "«",
  "»",
  "star",
  "STAR",
  "satr",
  "sun",
  "ring",
  "#14",
  "14",
  "99999999999",
  "model.layers.1_feature3",
  "-star",
  '"red star"',
  '-"red star"',
  "'; DROP TABLE feature; --",
  "1 OR 1=1",
  "NULL",
  "שלום",
  "مرحبا",
  "नमस्ते",
  "สวัสดี",
  "黄色",
  "한국어",
  "собака",
  "ẞ",
  "İ",
  "ﬁ",
  "e\u0301",
  "🥳",
  "👩‍👩‍👧‍👦",
  "🇨🇭",
  "𝔘𝔫𝔦",
  "Zalgo͎͓̥",
  "x".repeat(300),
  "<script>alert(1)</script>",
  "../../etc/passwd",
];

function query(random: () => number): string {
  const count = 1 + Math.floor(random() ** 3 * 60);
  let text = "";
  for (let i = 0; i < count; i++) {
    text += pieces[Math.floor(random() * pieces.length)];
    if (random() < 0.4) text += " ";
    if (random() < 0.05) text += String.fromCodePoint(Math.floor(random() * 0x10ffff));
  }
  return [...text].slice(0, 2_000).join("");
}

describe("any query", () => {
  it("is answered, with as many features as it says, each with why it was found and with its own words", async () => {
    const random = createRandom(20_261_125);
    for (let i = 0; i < 250; i++) {
      const q = query(random);
      const sort: Record<string, string> = random() < 0.2 ? { sort: "-density" } : {};
      const page = await list({ q, limit: "100", ...sort }).catch((error) => {
        throw new Error(`${JSON.stringify(q)}: ${error}`);
      });
      expect(page.total, JSON.stringify(q)).toBe(page.items.length);
      expect(new Set(page.items.map((card) => card.index)).size).toBe(page.items.length);
      for (const card of page.items) {
        if (!card.match) continue;
        const { highlight } = card.match;
        // Marks may stand in a label only where they were put.
        if (highlight !== null) expect(withoutHighlight(highlight).length, JSON.stringify(q)).toBeGreaterThan(0);
      }
    }
    expect((await list({})).total).toBe(60);
    const [tables] = await catalog.db.rows<{ n: number }>("SELECT count(*)::int AS n FROM feature");
    expect(tables?.n).toBe(60);
  }, 300_000);

  it("pages the same both ways, whatever it is", async () => {
    const random = createRandom(7);
    for (let i = 0; i < 12; i++) {
      const q = `${["star", "ring", "red", "things", "sun"][i % 5]} ${query(random).slice(0, 12)}`;
      const whole = (await list({ q, limit: "100" })).items.map((card) => card.index);
      let page = await list({ q, limit: "4" });
      const forward = page.items.map((card) => card.index);
      while (page.next) {
        page = await list({ q, limit: "4", cursor: page.next });
        forward.push(...page.items.map((card) => card.index));
      }
      expect(forward, JSON.stringify(q)).toEqual(whole);
      const back = page.items.map((card) => card.index);
      while (page.previous) {
        page = await list({ q, limit: "4", cursor: page.previous });
        back.unshift(...page.items.map((card) => card.index));
      }
      expect(back, JSON.stringify(q)).toEqual(whole);
    }
  }, 300_000);

  it.each<[string, number]>([
    ["שלום", 1],
    ["مرحبا", 2],
    ["नमस्ते", 3],
    ["ชาวโลก", 4],
    ["🇨🇭", 5],
    ["50 %", 0],
    ["off_price", 0],
    ["İstanbul", 7],
  ])("finds %s where it stands", async (q, index) => {
    expect((await list({ q })).items.map((card) => card.index)).toContain(index);
  });
});
