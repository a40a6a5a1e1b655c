import { afterAll, beforeAll, expect, it } from "vitest";
import { locateDictionary } from "./dictionaries";
import { pickCards } from "./highlights";
import { openTestCatalog, type TestCatalog } from "./test-catalog";

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await openTestCatalog();
}, 120_000);
afterAll(() => catalog?.close());

it("are concrete, different and well scored, whatever scores best as a background", async () => {
  await catalog.add({
    features: 60,
    images: 36,
    edit: ({ explanations = [], scores = [] }) => {
      const say = (index: number, label: string, concept: string, value: number) => {
        for (const row of explanations) if (row.index === index && row.preferred) Object.assign(row, { label, concept });
        for (const row of scores) if (row.index === index) Object.assign(row, { value, failure: null });
      };
      for (const row of scores) Object.assign(row, { value: 0.2, failure: null });
      say(0, "plain wall", "colour", 1);
      say(1, "left edge", "position", 1);
      say(3, "owl", "object", 0.9);
      say(4, "owl", "object", 0.8);
      say(5, "boat", "object", 0.7);
      say(7, "happy face", "emotion", 0.6);
      say(9, "letter q", "text", 0.5);
    },
  });
  const { id } = await locateDictionary(catalog.db, "test-model/model.layers.1");
  const labels = (await pickCards(catalog.db, id, 4)).map((card) => card.label);
  // Index 1 is a sink in this bundle, and never a highlight.
  expect(labels).toEqual(["owl", "happy face", "letter q", "boat"]);
  const many = (await pickCards(catalog.db, id, 60)).flatMap((card) => card.label ?? []);
  expect(many.indexOf("plain wall")).toBeGreaterThan(many.indexOf("boat"));
  expect(new Set(many).size).toBe(many.length);
  const asked: string[] = [];
  const rows = catalog.db.rows.bind(catalog.db);
  catalog.db.rows = (sql, values) => {
    asked.push(sql);
    return rows(sql, values);
  };
  // What was picked once is not picked again.
  expect((await pickCards(catalog.db, id, 4)).map((card) => card.label)).toEqual(labels);
  expect(asked).toEqual([]);
});
