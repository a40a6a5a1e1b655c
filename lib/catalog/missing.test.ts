import { afterAll, beforeAll, expect, it } from "vitest";
import { missingAt } from "./missing";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({ features: 8, images: 6 });
}, 120_000);
afterAll(() => catalog?.close());

it("names what a page's address lacks, and nothing where all is there", async () => {
  const ask = (pathname: string) => missingAt(catalog.db, pathname);
  const ref = "test-model/model.layers.1";
  const [image] = await catalog.db.rows<{ sha256: string }>("SELECT sha256 FROM image LIMIT 1");
  for (const there of [
    "/",
    "/steer",
    "/nothing",
    `/d/${ref}`,
    `/d/${ref}/0`,
    `/d/${ref}/7`,
    `/i/${image?.sha256}`,
    "/d/%/x",
    `/d/${ref}/0/x`,
  ]) {
    expect(await ask(there), there).toBeNull();
  }
  expect(await ask("/d/test-model/none")).toEqual({ kind: "dictionary", ref: "test-model/none" });
  expect(await ask("/d/test-model/none/0")).toEqual({ kind: "dictionary", ref: "test-model/none" });
  expect(await ask("/d/a%00b/c%20d")).toEqual({ kind: "dictionary", ref: "a\0b/c d" });
  for (const index of ["8", "999999999999", "-1", "x"]) expect(await ask(`/d/${ref}/${index}`)).toEqual({ kind: "feature", ref, index });
  expect(await ask(`/i/${"0".repeat(64)}`)).toEqual({ kind: "image", sha256: "0".repeat(64) });
  expect(await ask("/i/cat.png")).toEqual({ kind: "image", sha256: "cat.png" });
});

it("names the version or the dictionary that a query asks for and the catalogue lacks", async () => {
  const ref = "test-model/model.layers.1";
  const [image] = await catalog.db.rows<{ sha256: string }>("SELECT sha256 FROM image LIMIT 1");
  const [row] = await catalog.db.rows<{ version: string; sha256: string }>("SELECT version, sha256 FROM dictionary");
  const version = row?.version ?? "";
  for (const v of [version, version.slice(0, 12), row?.sha256.slice(0, 12)]) {
    expect(await missingAt(catalog.db, `/d/${ref}/0`, { v }), v).toBeNull();
  }
  const present = [version];
  expect(await missingAt(catalog.db, `/d/${ref}/0`, { v: "0123456789ab" })).toEqual({
    kind: "version",
    ref,
    index: "0",
    asked: "0123456789ab",
    present,
  });
  expect(await missingAt(catalog.db, `/d/${ref}`, { v: "a\0" })).toEqual({ kind: "version", ref, asked: "a\0", present });
  expect(await missingAt(catalog.db, `/d/${ref}/x`, { v: "0123456789ab" })).toEqual({ kind: "feature", ref, index: "x" });
  const sha256 = image?.sha256 ?? "";
  expect(await missingAt(catalog.db, `/i/${sha256}`, { dictionary: ref })).toBeNull();
  for (const query of [{}, { dictionary: ref }]) expect(await missingAt(catalog.db, "/try", query)).toBeNull();
  for (const none of ["no/such", "a\0b/c", "%", "🥝/x"]) {
    expect(await missingAt(catalog.db, `/i/${sha256}`, { dictionary: none })).toEqual({ kind: "dictionary", ref: none, sha256 });
    expect(await missingAt(catalog.db, "/try", { dictionary: none })).toEqual({ kind: "dictionary", ref: none });
  }
});
