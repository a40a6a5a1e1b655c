import { readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dictionariesSchema } from "@/lib/api/dictionaries";
import { errorBodySchema } from "@/lib/api/fetch-json";
import { healthSchema } from "@/lib/api/health";
import { imagePageSchema } from "@/lib/api/images";
import { describedFeatureKeys, type openApiDocument } from "@/lib/api/openapi";
import type { Database } from "@/lib/catalog/db";
import { openTestCatalog, type TestCatalog } from "@/lib/catalog/test-catalog";
import { errorTable } from "@/lib/core/errors";
import { featureQueryKeys } from "@/lib/core/feature-query";
import { featureDetailSchema, featurePageSchema, histogramsSchema, imageInfoSchema } from "@/lib/core/records";
import { env } from "@/lib/env";
import { GET as dictionaries } from "./dictionaries/route";
import { GET as feature } from "./features/[model]/[dictionary]/[index]/route";
import { GET as features } from "./features/route";
import { GET as featuresCsv } from "./features.csv/route";
import { GET as health } from "./health/route";
import { GET as histograms } from "./histograms/route";
import { GET as imageInfo } from "./images/[sha256]/info/route";
import { GET as image } from "./images/[sha256]/route";
import { GET as images } from "./images/route";
import { GET as openapi } from "./openapi.json/route";

const readOnly = [
  import("./dictionaries/route"),
  import("./features/[model]/[dictionary]/[index]/route"),
  import("./features/route"),
  import("./features.csv/route"),
  import("./health/route"),
  import("./histograms/route"),
  import("./images/[sha256]/info/route"),
  import("./images/[sha256]/route"),
  import("./images/route"),
  import("./openapi.json/route"),
];
const ref = "test-model/model.layers.1";
let catalog: TestCatalog;
const holder = globalThis as typeof globalThis & { __facetDatabase?: Promise<Database> };

beforeAll(async () => {
  catalog = await openTestCatalog();
  holder.__facetDatabase = Promise.resolve(catalog.db);
  await catalog.add();
}, 120_000);
afterAll(async () => {
  holder.__facetDatabase = undefined;
  await catalog?.close();
});

const request = (path: string, headers: Record<string, string> = {}) => new Request(`http://127.0.0.1${path}`, { headers });
const params = <T>(value: T) => ({ params: Promise.resolve(value) });
const at = (index: string) => params({ model: "test-model", dictionary: "model.layers.1", index });

async function refused(answer: Promise<Response>, status: number, code: string): Promise<void> {
  const response = await answer;
  expect([response.status, errorBodySchema.parse(await response.json()).error.code]).toEqual([status, code]);
  expect(response.headers.get("cache-control")).toBe("no-store");
}

describe("the API", () => {
  it("writes a whole list as a file, in the list's order", async () => {
    const list = `dictionary=${ref}&sort=-max_activation&concept=object&dead=0`;
    const response = await featuresCsv(request(`/api/features.csv?${list}`));
    expect(response.headers.get("content-disposition")).toBe('attachment; filename="test-model-model.layers.1-features.csv"');
    const lines = (await response.text()).trimEnd().split("\r\n");
    const page = featurePageSchema.parse(await (await features(request(`/api/features?${list}&limit=100`))).json());
    expect(lines[0]).toMatch(/^index,label,concept,explanation,density,/);
    expect(lines.slice(1).map((line) => line.split(",").slice(0, 3))).toEqual(
      page.items.map((card) => [String(card.index), card.label ?? "", card.concept ?? ""]),
    );
    const found = await (await featuresCsv(request(`/api/features.csv?dictionary=${ref}&q=red`))).text();
    const { total } = featurePageSchema.parse(await (await features(request(`/api/features?dictionary=${ref}&q=red`))).json());
    expect(found.trimEnd().split("\r\n")).toHaveLength(total + 1);
    expect(found).toContain("words: ");
    await refused(featuresCsv(request(`/api/features.csv?${list}&limit=3`)), 400, "unknown_query_key");
    await refused(featuresCsv(request("/api/features.csv?dictionary=no/such")), 404, "dictionary_not_found");
  });

  it("answers what its schemas say", async () => {
    expect(healthSchema.parse(await (await health(request("/api/health"))).json()).dictionaries).toBe(1);
    dictionariesSchema.parse(await (await dictionaries(request("/api/dictionaries"))).json());
    featurePageSchema.parse(await (await features(request(`/api/features?dictionary=${ref}&q=red`))).json());
    featureDetailSchema.parse(await (await feature(request(`/api/features/${ref}/0`), at("0"))).json());
    histogramsSchema.parse(await (await histograms(request(`/api/histograms?dictionary=${ref}`))).json());
    const { items } = imagePageSchema.parse(await (await images(request("/api/images?limit=3"))).json());
    const sha256 = items[0]?.sha256 ?? "";
    imageInfoSchema.parse(await (await imageInfo(request(`/api/images/${sha256}/info`), params({ sha256 }))).json());
  });

  it("refuses unknown keys and wrong values, naming them", async () => {
    await refused(dictionaries(request("/api/dictionaries?page=2")), 400, "unknown_query_key");
    await refused(features(request(`/api/features?dictionary=${ref}&page=2`)), 400, "unknown_query_key");
    await refused(features(request("/api/features")), 400, "invalid_request");
    await refused(features(request("/api/features?dictionary=nothing")), 400, "invalid_request");
    await refused(features(request("/api/features?dictionary=no/such")), 404, "dictionary_not_found");
    await refused(feature(request(`/api/features/${ref}/x`), at("x")), 400, "invalid_request");
    await refused(feature(request(`/api/features/${ref}/99999`), at("99999")), 404, "feature_not_found");
    await refused(feature(request(`/api/features/${ref}/1?v=0123456789ab`), at("1")), 409, "version_mismatch");
    await refused(feature(request(`/api/features/${ref}/1?v=zz`), at("1")), 400, "invalid_request");
    await refused(images(request("/api/images?limit=0")), 400, "invalid_request");
    await refused(image(request("/api/images/.."), params({ sha256: ".." })), 400, "invalid_request");
    await refused(image(request("/api/images/0"), params({ sha256: "0".repeat(64) })), 404, "image_not_found");
  });

  it("answers 304 to who has it already, at every address", async () => {
    const page = imagePageSchema.parse(await (await images(request("/api/images?limit=1"))).json());
    const hash = params({ sha256: page.items[0]?.sha256 ?? "" });
    const gets: [path: string, get: (request: Request) => Promise<Response>][] = [
      ["/api/health", health],
      ["/api/openapi.json", openapi],
      ["/api/dictionaries", dictionaries],
      [`/api/features?dictionary=${ref}`, features],
      [`/api/features/${ref}/0`, (one) => feature(one, at("0"))],
      [`/api/histograms?dictionary=${ref}`, histograms],
      ["/api/images", images],
      ["/api/images/…", (one) => image(one, hash)],
      ["/api/images/…/info", (one) => imageInfo(one, hash)],
    ];
    for (const [path, get] of gets) {
      const etag = (await get(request(path))).headers.get("etag") ?? "";
      expect(etag, path).toMatch(/^(W\/)?"[\w-]{20,}"$/);
      const second = await get(request(path, { "if-none-match": `"other", ${etag}` }));
      expect([path, second.status, await second.text(), second.headers.get("etag")]).toEqual([path, 304, "", etag]);
      expect((await get(request(path, { "if-none-match": '"other"' }))).status).toBe(200);
    }
  });

  it("answers other methods with the same kind of error", async () => {
    for (const route of await Promise.all(readOnly)) {
      for (const method of ["POST", "PUT", "PATCH", "DELETE"] as const) {
        const response = route[method](new Request("http://127.0.0.1/api/dictionaries", { method }));
        expect(response.headers.get("allow")).toBe("GET, HEAD");
        await refused(Promise.resolve(response), 405, "method_not_allowed");
      }
    }
  });

  it("finds no file but an image's, however the address is spelled", async () => {
    for (const sha256 of [
      "..",
      "../../package.json",
      "..%2f..%2fpackage.json",
      "/etc/passwd",
      `${"0".repeat(64)}/..`,
      "A".repeat(64),
      "0".repeat(63),
    ]) {
      await refused(image(request("/api/images/x"), params({ sha256 })), 400, "invalid_request");
      await refused(imageInfo(request("/api/images/x/info"), params({ sha256 })), 400, "invalid_request");
    }
  });

  it("says of every error what to do and whether trying again helps", async () => {
    const body = await (await features(request("/api/features?dictionary=no/such"))).json();
    expect(body).toEqual({
      error: {
        code: "dictionary_not_found",
        message: 'The catalogue has no dictionary "no/such".',
        fix: errorTable.dictionary_not_found.fix,
        retry: false,
      },
    });
  });

  it("serves images for ever, as what they are", async () => {
    const page = imagePageSchema.parse(await (await images(request("/api/images?limit=1"))).json());
    const sha256 = page.items[0]?.sha256 ?? "";
    const response = await image(request(`/api/images/${sha256}`), params({ sha256 }));
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "image/webp",
      "cache-control": "public, max-age=31536000, immutable",
      "x-content-type-options": "nosniff",
      etag: `"${sha256}"`,
    });
    expect((await image(request(`/api/images/${sha256}`, { "if-none-match": `"${sha256}"` }), params({ sha256 }))).status).toBe(304);
  });

  it("pins a version for longer than the latest", async () => {
    const listed = dictionariesSchema.parse(await (await dictionaries(request("/api/dictionaries"))).json());
    const v = listed.items[0]?.sha256.slice(0, 12);
    const pinned = await feature(request(`/api/features/${ref}/1?v=${v}`), at("1"));
    expect([pinned.status, pinned.headers.get("cache-control")]).toEqual([200, "private, max-age=3600"]);
  });

  it("describes itself", async () => {
    const document = (await (await openapi(request("/api/openapi.json"))).json()) as ReturnType<typeof openApiDocument>;
    expect(document.openapi).toBe("3.1.0");
    const files = (await readdir(path.join(env.root, "app", "api"), { recursive: true })).filter(
      (file) => path.basename(file) === "route.ts",
    );
    const addresses = files.map((file) => `/api/${path.dirname(file).replaceAll("[", "{").replaceAll("]", "}")}`);
    // Itself, and what answers addresses that there are not.
    const others = ["/api/openapi.json", "/api/{...path}"];
    expect(Object.keys(document.paths as object).sort()).toEqual(addresses.filter((address) => !others.includes(address)).sort());
    expect(new Set(describedFeatureKeys)).toEqual(new Set(featureQueryKeys));
    expect(JSON.stringify(document).length).toBeGreaterThan(10_000);
  });
});
