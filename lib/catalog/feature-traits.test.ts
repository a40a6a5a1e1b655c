import { afterAll, beforeAll, expect, it } from "vitest";
import { featureTraits } from "./feature-traits";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
  await catalog.add({
    features: 12,
    // Enough that the feature's shape is on more than the few pictures that say nothing of a place.
    images: 40,
    edit: (tables) => {
      // The second cell alone, on pictures of another strength each.
      for (const row of tables.activations ?? []) {
        if (row.index !== 3 || row.band !== "top") continue;
        row.positions = Uint8Array.from([1, 0]);
        row.values = Uint8Array.from([0, 0x3c + (row.rank as number)]);
      }
    },
  });
}, 120_000);
afterAll(() => catalog.close());

it("names the features that are there, in order, and tells by their maps which are about a place", async () => {
  const traits = await featureTraits(catalog.db, "test-model/model.layers.1", [3, 1, 999]);
  expect(traits.map(({ index }) => index)).toEqual([1, 3]);
  expect(traits[0]).toMatchObject({ positional: false, sink: true });
  expect(traits[1]).toMatchObject({ positional: true, alwaysOn: expect.any(Boolean), sink: expect.any(Boolean) });
  await expect(featureTraits(catalog.db, "no/such", [1])).rejects.toMatchObject({ code: "dictionary_not_found" });
});
