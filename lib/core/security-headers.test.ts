import { describe, expect, it } from "vitest";
import { contentSecurityPolicy, enginePolicy, fixedHeaders, isEmbed, refusal } from "./security-headers";

describe("the policy of a page", () => {
  it("runs scripts by nonce alone and fetches from no other origin", () => {
    const policy = contentSecurityPolicy("abc");
    expect(policy).toContain("script-src 'self' 'nonce-abc' 'strict-dynamic';");
    expect(policy).not.toMatch(/unsafe-eval|https?:|\*/);
    expect(policy).toContain("connect-src 'self';");
    expect(policy).toContain("object-src 'none'; base-uri 'none'");
    expect(policy).toContain("default-src 'none'");
  });

  it("allows what React's development build needs only there", () => {
    expect(contentSecurityPolicy("abc", { development: true })).toContain("'unsafe-eval'");
  });
});

it("lets our own pages ask for the camera, and for nothing else of the device", () => {
  const policy = fixedHeaders.find(({ key }) => key === "Permissions-Policy")?.value ?? "";
  expect(policy).toContain("camera=(self)");
  expect(policy.split(", ").filter((rule) => !rule.endsWith("=()"))).toEqual(["camera=(self)"]);
});

it("isolates every answer, so that a tab may compute with threads, and lets only the engine's files compile WebAssembly", () => {
  const sent = Object.fromEntries(fixedHeaders.map(({ key, value }) => [key, value]));
  expect([sent["Cross-Origin-Opener-Policy"], sent["Cross-Origin-Embedder-Policy"]]).toEqual(["same-origin", "require-corp"]);
  expect(enginePolicy).toContain("script-src 'self' 'wasm-unsafe-eval';");
  expect(enginePolicy).not.toMatch(/https?:|\*|unsafe-inline|'unsafe-eval'/);
  expect(contentSecurityPolicy("abc")).not.toContain("wasm");
});

describe("frames", () => {
  it("of other sites may show the pages made for it, and no other", () => {
    expect(contentSecurityPolicy("abc")).toContain("frame-ancestors 'self'");
    const embed = contentSecurityPolicy("abc", { embed: true });
    expect(embed).toContain("frame-ancestors *");
    expect(embed.replace("frame-ancestors *", "frame-ancestors 'self'")).toBe(contentSecurityPolicy("abc"));
    for (const path of ["/embed/x/abc", "/embed/d/model/dictionary/1"]) expect(isEmbed(path), path).toBe(true);
    for (const path of ["/", "/x/abc", "/embed", "/embedded/x", "/d/embed/x/1", "/steer"]) expect(isEmbed(path), path).toBe(false);
  });
});

describe("requests from elsewhere", () => {
  const local = { method: "GET", host: "127.0.0.1:3000", fetchSite: null };

  it("are refused under a name that is not the server's", () => {
    expect(refusal({ ...local, host: "rebound.example:3000" }, "")?.message).toContain("rebound.example");
    expect(refusal({ ...local, host: null }, "")).not.toBeNull();
    for (const host of ["localhost:3000", "127.0.0.1", "[::1]:3000", "LOCALHOST"]) expect(refusal({ ...local, host }, "")).toBeNull();
  });

  it("pass under the names that the server was given", () => {
    expect(refusal({ ...local, host: "facet.example" }, "a.example, facet.example")).toBeNull();
    expect(refusal({ ...local, host: "anything" }, "*")).toBeNull();
  });

  it("may be read across sites, as a link does, but not sent", () => {
    expect(refusal({ ...local, fetchSite: "cross-site" }, "")).toBeNull();
    expect(refusal({ ...local, method: "POST", fetchSite: "cross-site" }, "")).not.toBeNull();
    expect(refusal({ ...local, method: "POST", fetchSite: "same-origin" }, "")).toBeNull();
    expect(refusal({ ...local, method: "POST" }, "")).toBeNull();
  });
});
