import { describe, expect, it } from "vitest";
import { FeatureRecords } from "./feature-records";
import { keyOf, NumberMap } from "./number-map";
import { RecordFile } from "./temp-file";

it("a map of numbers is a Map, also where keys meet in one place", () => {
  const ours = new NumberMap();
  const theirs = new Map<string, number>();
  let seed = 7;
  const next = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return seed % below;
  };
  for (let i = 0; i < 20_000; i++) {
    const key = [next(3), next(9_000) * 4_096] as const;
    expect(ours.get(key)).toBe(theirs.get(key.join()));
    if (next(2)) continue;
    ours.set(key, i);
    theirs.set(key.join(), i);
  }
  expect(ours.size).toBe(theirs.size);
  for (const [key, value] of theirs) expect(ours.get(key.split(",").map(Number) as [number, number])).toBe(value);
  expect(keyOf("a")).not.toEqual(keyOf("b"));
});

describe("records", () => {
  it("are found by their place, whatever their length", () => {
    const file = new RecordFile();
    const lengths = [0, 1, 4_091, 4_092, 4_093, 100_000, 3_000_000, 5];
    const places = lengths.map((length, i) => file.add(new Uint8Array(length).fill(i + 1)));
    for (const i of [7, 0, 5, 2, 3, 4, 6, 1]) {
      const bytes = file.read(places[i] as number);
      expect([bytes.length, bytes.every((one) => one === i + 1)]).toEqual([lengths[i], true]);
    }
    file.clear();
    expect(file.read(file.add(Uint8Array.of(9)))).toEqual(Buffer.from([9]));
  });

  it("of features come back in ascending order; a second one of a feature is not taken", () => {
    const records = new FeatureRecords<{ name: string }>();
    const order = Array.from({ length: 3_000 }, (_, i) => (i * 7_919) % 3_000);
    for (const index of order) expect(records.add(index, { name: `f${index}` })).toBe(true);
    expect(records.add(5, { name: "again" })).toBe(false);
    expect([...records.values()].map((one) => one.name)).toEqual(Array.from({ length: 3_000 }, (_, i) => `f${i}`));
    expect([records.get(5)?.name, records.get(4_000)]).toEqual(["f5", undefined]);
  });
});
