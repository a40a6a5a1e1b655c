import { afterAll, beforeAll, expect, it } from "vitest";
import { locateDictionary } from "./dictionaries";
import { isIllustrated } from "./illustrated";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
});
afterAll(() => catalog.close());

it("tells a dictionary with examples from one that came without any, version by version", async () => {
  await catalog.add({ features: 12, images: 6, version: "1" });
  const first = await locateDictionary(catalog.db, "test-model/model.layers.1");
  expect(await isIllustrated(catalog.db, first.id)).toBe(true);
  await catalog.add({ features: 12, images: 6, version: "2", edit: (tables) => tables.activations?.splice(0) });
  const second = await locateDictionary(catalog.db, "test-model/model.layers.1");
  expect(second.id).not.toBe(first.id);
  expect([await isIllustrated(catalog.db, second.id), await isIllustrated(catalog.db, first.id)]).toEqual([false, true]);
});
