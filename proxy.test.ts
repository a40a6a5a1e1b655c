import { NextRequest } from "next/server";
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { MissingPage } from "./app/missing-page";
import type { Database } from "./lib/catalog/db";
import { openTestCatalog, type TestCatalog } from "./lib/catalog/test-catalog";
import { FacetError } from "./lib/core/errors";
import { featureQueryParams, parseFeatureQuery } from "./lib/core/feature-query";
import { readMissing } from "./lib/core/missing";
import { listFeatures } from "./lib/search/list-features";
import { proxy } from "./proxy";

const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
const holder = globalThis as typeof globalThis & { __facetDatabase?: Promise<Database> };

beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({ features: 8, images: 6 });
}, 120_000);
afterEach(() => use(catalog.db));
afterAll(async () => {
  holder.__facetDatabase = undefined;
  await catalog?.close();
});

/** The catalogue that the process has. */
function use(db: Database | Promise<never>) {
  holder.__facetDatabase = Promise.resolve(db);
  holder.__facetDatabase.catch(() => {});
}

/** Status of a page and the words that it is made of instead of its own. */
async function ask(path: string): Promise<{ status: number; words: string | null }> {
  const response = await proxy(new NextRequest(`http://127.0.0.1${path}`, { headers: { host: "127.0.0.1" } }));
  const sent = response.headers.get("x-middleware-request-x-missing");
  const missing = sent === null ? null : readMissing(new Headers({ "x-missing": sent }));
  return { status: response.status, words: missing && renderToStaticMarkup(createElement(MissingPage, { missing })) };
}

const everyPage = () => [
  "/",
  "/steer",
  "/trace",
  "/try",
  "/x",
  `/d/${ref}`,
  `/d/${ref}/1`,
  `/i/${"0".repeat(64)}`,
  `/embed/d/${ref}/1`,
  `/x/${"a".repeat(16)}`,
];

it("leaves pages that can be shown alone", async () => {
  use(catalog.db);
  for (const path of [
    "/",
    "/steer",
    "/trace",
    "/x",
    `/d/${ref}`,
    `/d/${ref}?q=red&view=table&at=3&_rsc=1abc`,
    `/d/${ref}/1?from=sort%3Ddensity`,
  ]) {
    expect(await ask(path), path).toEqual({ status: 200, words: null });
  }
});

it("answers a list's wrong query with its status and the sentence, and a way to the whole list", async () => {
  use(catalog.db);
  for (const [query, sentence] of [
    ["colour=red", /&quot;colour&quot; is not a query key/],
    [`${"🥝".repeat(31)}x=1`, /is not a query key/],
    ["sort=beauty", /&quot;beauty&quot; is not a sort key/],
    ["density_min=much", /must be a number/],
    ["q=a&q=b", /given twice/],
    [`q=${"a".repeat(2_001)}`, /at most 2000 characters/],
    ["cursor=nonsense", /The cursor is not one of this API/],
    ["sort=density&cursor=WyIiLFswXSwwLCJhZnRlciJd", /cursor/],
  ] as const) {
    const { status, words } = await ask(`/d/${ref}?${query}`);
    expect([query, status]).toEqual([query, 400]);
    expect(words).toMatch(/<h1[^>]*>/);
    expect(words).toMatch(sentence);
    expect(words).toContain(`href="/d/${ref}"`);
  }
});

it("answers a pinned link to another version with 409, and a way to the one here", async () => {
  use(catalog.db);
  const { status, words } = await ask(`/d/${ref}/1?v=0123456789ab`);
  expect(status).toBe(409);
  expect(words).toContain("0123456789ab");
  expect(words).toContain(`href="/d/${ref}/1"`);
});

it("answers every page with the status of a catalogue that does not, and says what to do", async () => {
  for (const [code, status, fix] of [
    ["catalogue_locked", 503, /Stop the other Facet process/],
    ["catalogue_unreachable", 503, /Start the database/],
    ["catalogue_outdated", 503, /npm start/],
  ] as const) {
    use(Promise.reject(new FacetError(code, "The catalogue does not answer.")));
    for (const path of everyPage()) {
      use(Promise.reject(new FacetError(code, "The catalogue does not answer.")));
      const answer = await ask(path);
      expect([path, answer.status]).toEqual([path, status]);
      expect(answer.words).toMatch(/<h1[^>]*>The catalogue does not answer\.<\/h1>/);
      expect(answer.words).toMatch(fix);
      expect(/Try again/.test(answer.words ?? ""), "offered where it can help").toBe(code !== "catalogue_outdated");
    }
  }
});

it("says of a catalogue that fails in a way nobody foresaw no more than that", async () => {
  use(Promise.reject(new Error("a secret path")));
  const { status, words } = await ask("/");
  expect(status).toBe(500);
  expect(words).toContain("Something went wrong on the server.");
  expect(words).not.toContain("secret");
});

it("finds out that a catalogue broke after it was opened", async () => {
  const broken = Object.create(catalog.db, {
    rows: { value: () => Promise.reject(new FacetError("catalogue_unreachable", "The database went away.")) },
  }) as Database;
  for (const path of everyPage()) {
    use(broken);
    expect((await ask(path)).status, path).toBe(503);
  }
});

it("takes any slug in an address, and shows what cannot be seen as signs", async () => {
  use(catalog.db);
  for (const [path, shown] of [
    ["/d/a%00b/c", "“a␀b/c”"],
    ["/d/a%20b/c%2Fd", "“a b/c/d”"],
    ["/d/50%25/x", "“50%/x”"],
    ["/d/w%C3%B6rter%20%F0%9F%A5%9D/x/3", "“wörter 🥝/x”"],
    ["/d/%E2%80%AEabc/x", "“‹U+202E›abc/x”"],
    [`/d/${ref}/%00`, "feature ␀ in"],
    ["/i/%0A", "picture ␊ here"],
    [`/d/${ref.replace("test", "%74est")}/9`, "feature 9 in model.layers.1 of test-model"],
  ] as const) {
    const { status, words } = await ask(path);
    expect([path, status]).toEqual([path, 404]);
    expect(words).toContain(shown);
  }
  expect(await ask(`/d/${ref.replace("test", "%74est")}/1`)).toEqual({ status: 200, words: null });
});

it("shows the list and the features of an older version to who asks for it", async () => {
  use(catalog.db);
  const [first] = await catalog.db.rows<{ version: string }>("SELECT version FROM dictionary");
  const v = first?.version.slice(0, 12) ?? "";
  await catalog.add({ features: 6, images: 6 });
  const list = (more: string) => listFeatures(catalog.db, parseFeatureQuery(new URLSearchParams(`dictionary=${ref}&limit=100${more}`)));
  expect((await list("")).total).toBe(6);
  expect((await list(`&v=${v}`)).total).toBe(8);
  for (const path of [`/d/${ref}?v=${v}`, `/d/${ref}?v=${v}&sort=-density`, `/d/${ref}/7?v=${v}`, `/d/${ref}/5`]) {
    expect(await ask(path), path).toEqual({ status: 200, words: null });
  }
  expect((await ask(`/d/${ref}/7`)).status).toBe(404);
  expect((await ask(`/d/${ref}?v=0123456789ab`)).status).toBe(409);
  await expect(list("&v=0123456789ab")).rejects.toMatchObject({ code: "version_mismatch" });
  expect(() => parseFeatureQuery({ v: "zz" })).toThrow(/12 hexadecimal digits/);
  expect(featureQueryParams(parseFeatureQuery({ v, q: "red" }))).toEqual({ v, q: "red" });
});
