import http from "node:http";
import { limits } from "../lib/core/protocol";
import { featurePageSchema, histogramsSchema } from "../lib/core/records";
import { routes } from "../lib/core/routes";
import { expect, test } from "./site";

/** Posts a JSON object of so many bytes without saying beforehand how many, under a name of this machine. */
function postInChunks(url: URL, name: string, bytes: number): Promise<{ status: number; error: { code: string; message: string } }> {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json", Host: `${name}:${url.port}` };
    const sent = http.request(url, { method: "POST", headers }, async (answer) => {
      let text = "";
      for await (const chunk of answer.setEncoding("utf8")) text += chunk;
      resolve({ status: answer.statusCode ?? 0, ...JSON.parse(text) });
    });
    sent.on("error", reject);
    const [before, after] = ['{"padding":"', '"}'];
    sent.write(before);
    const block = "x".repeat(64 * 1024);
    let left = bytes - before.length - after.length;
    const write = () => {
      while (left > 0) {
        const part = block.slice(0, left);
        left -= part.length;
        if (!sent.write(part)) return void sent.once("drain", write);
      }
      sent.end(after);
    };
    write();
  });
}

test.describe("the HTTP API", () => {
  test("says that it is well, and describes itself", async ({ request }) => {
    expect((await request.get(routes.api.health())).status()).toBe(200);
    const answer = await request.get(routes.api.openapi());
    expect(answer.status()).toBe(200);
    const document = await answer.json();
    expect(document.openapi).toMatch(/^3\.1/);
    for (const path of ["/api/dictionaries", "/api/features", "/api/steer", "/api/analyse"])
      expect(Object.keys(document.paths)).toContain(path);
    // Every reference inside the document leads somewhere.
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, pointer]) => pointer ?? "");
    for (const pointer of references) {
      const target = pointer
        .split("/")
        .slice(1)
        .reduce((node, key) => node?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], document);
      expect(target, pointer).toBeDefined();
    }
  });

  test("answers with what its schemas say", async ({ request, catalogue }) => {
    const { dictionary } = catalogue;
    const page = await (await request.get(routes.api.features({ dictionary: dictionary.ref, sort: "-density", limit: 10 }))).json();
    const { items, total } = featurePageSchema.parse(page);
    expect(items).toHaveLength(10);
    expect(total).toBe(dictionary.numLatents);
    const densities = items.map(({ density }) => density ?? -1);
    expect(densities).toEqual([...densities].sort((a, b) => b - a));
    histogramsSchema.parse(await (await request.get(routes.api.histograms(dictionary.ref))).json());
  });

  test("pages give every feature once, forwards and backwards", async ({ request, catalogue }) => {
    const query = { dictionary: catalogue.dictionary.ref, sort: "-iou", limit: 40 };
    const get = async (cursor?: string | null) =>
      featurePageSchema.parse(await (await request.get(routes.api.features({ ...query, cursor: cursor ?? undefined }))).json());
    const first = await get();
    const second = await get(first.next);
    const third = await get(second.next);
    const back = await get(third.previous);
    const indices = (page: { items: { index: number }[] }) => page.items.map(({ index }) => index);
    expect(new Set([...indices(first), ...indices(second), ...indices(third)]).size).toBe(120);
    expect(indices(back)).toEqual(indices(second));
    expect(first.previous).toBeNull();
  });

  test("refuses what it does not know, with a code, a sentence and what to do", async ({ request, catalogue }) => {
    const ref = catalogue.dictionary.ref;
    const cases: [string, number, string][] = [
      [`${routes.api.features({ dictionary: ref })}&colour=red`, 400, "unknown_query_key"],
      [routes.api.features({ dictionary: ref, sort: "beauty" }), 400, "invalid_request"],
      [routes.api.features({ dictionary: ref, limit: 100_000 }), 400, "invalid_request"],
      [routes.api.features({ dictionary: ref, cursor: "not-a-cursor" }), 400, "invalid_request"],
      [routes.api.features({ dictionary: "no-such/dictionary" }), 404, "dictionary_not_found"],
      [routes.api.feature(ref, 9_999_999), 404, "feature_not_found"],
      [routes.api.feature(ref, 0, { v: "000000000000" }), 409, "version_mismatch"],
      [routes.api.image("0".repeat(64)), 404, "image_not_found"],
      ["/api/nothing-here", 404, "not_found"],
    ];
    for (const [url, status, code] of cases) {
      const answer = await request.get(url);
      expect(answer.status(), url).toBe(status);
      const { error } = await answer.json();
      expect(error, url).toMatchObject({
        code,
        message: expect.stringMatching(/\w.*\.$/),
        fix: expect.any(String),
        retry: expect.any(Boolean),
      });
    }
  });

  test("GETs carry an ETag, and answer 304 to it", async ({ request, catalogue }) => {
    const { dictionary, card, feature } = catalogue;
    const image = Object.values(feature.examples)[0]?.[0]?.image ?? card.top[0]?.image ?? "";
    for (const url of [
      routes.api.dictionaries(),
      routes.api.features({ dictionary: dictionary.ref }),
      routes.api.feature(dictionary.ref, card.index),
      routes.api.histograms(dictionary.ref),
      routes.api.image(image),
      routes.api.openapi(),
    ]) {
      const first = await request.get(url);
      const etag = first.headers().etag ?? "";
      expect(etag, url).toMatch(/^(W\/)?".+"$/);
      const second = await request.get(url, { headers: { "If-None-Match": etag } });
      expect(second.status(), url).toBe(304);
      expect((await second.body()).length, url).toBe(0);
    }
  });

  test("the icon is where browsers look for it by themselves", async ({ request }) => {
    const answer = await request.get("/favicon.ico");
    expect(answer.status()).toBe(200);
    expect(answer.headers()["content-type"]).toBe("image/svg+xml");
  });

  test("pictures are stored whole, and never taken for anything else", async ({ request, catalogue }) => {
    const image = catalogue.card.top[0]?.image ?? "";
    const answer = await request.get(routes.api.image(image));
    expect(answer.headers()["content-type"]).toMatch(/^image\//);
    expect(answer.headers()["x-content-type-options"]).toBe("nosniff");
    expect(answer.headers()["cache-control"]).toContain("immutable");
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(await answer.body()));
    expect(Buffer.from(digest).toString("hex")).toBe(image);
  });

  test("does not read a body that is too large, nor one that is not a request", async ({ request }) => {
    const large = await request.post(routes.api.steer(), {
      headers: { "Content-Type": "application/json" },
      data: JSON.stringify({ dictionary: "x/y", padding: "x".repeat(48 * 1024 * 1024) }),
    });
    expect(large.status()).toBe(413);
    expect((await large.json()).error.code).toBe("too_large");
    const broken = await request.post(routes.api.steer(), { headers: { "Content-Type": "application/json" }, data: "{" });
    expect(broken.status()).toBe(400);
    expect((await broken.json()).error.code).toBe("invalid_request");
  });

  // Requests under 127.0.0.1 pass the proxy by; under another name of this machine they go through it, which keeps a body in memory.
  for (const name of ["127.0.0.1", "[::1]"]) {
    test(`takes a body up to its limit whole, and says what is beyond it, under the name ${name}`, async ({ baseURL }) => {
      const post = (bytes: number) => postInChunks(new URL(routes.api.steer(), baseURL), name, bytes);
      // The whole body was read: it is JSON, of a request without a dictionary.
      const near = await post(limits.requestBytes - 1024);
      expect([near.status, near.error.code, near.error.message]).toEqual([400, "invalid_request", expect.stringContaining("dictionary")]);
      const beyond = await post(limits.requestBytes + 1024);
      expect([beyond.status, beyond.error.code, beyond.error.message]).toEqual([413, "too_large", expect.stringContaining("33 MB")]);
    });
  }
});

test.describe("the guard", () => {
  test("refuses another host's name and another site's request", async ({ request }) => {
    for (const url of [routes.home(), routes.api.dictionaries()]) {
      const answer = await request.get(url, { headers: { Host: "rebound.example" } });
      expect(answer.status(), url).toBe(403);
      expect((await answer.json()).error.code).toBe("forbidden");
    }
    const sent = await request.post(routes.api.steer(), { headers: { "Sec-Fetch-Site": "cross-site" }, data: {} });
    expect(sent.status()).toBe(403);
    expect((await request.post(routes.home(), { data: {} })).status()).toBe(405);
  });

  test("every answer carries the fixed headers, every page a policy with a nonce of its own", async ({ request }) => {
    const policies: string[] = [];
    for (const url of [routes.home(), routes.steer(), routes.api.dictionaries()]) {
      const headers = (await request.get(url)).headers();
      expect(headers, url).toMatchObject({
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": expect.stringContaining("camera=(self)"),
      });
      expect(headers["x-powered-by"]).toBeUndefined();
      policies.push(headers["content-security-policy"] ?? "");
    }
    const nonces = policies.map((policy) => /'nonce-([^']+)'/.exec(policy)?.[1]);
    expect(new Set(nonces).size).toBe(3);
    expect(nonces[2]).toBeUndefined();
    expect(policies[2]).toContain("default-src 'none'");
    for (const policy of policies) expect(policy).not.toMatch(/script-src[^;]*unsafe-(inline|eval)/);
  });
});
