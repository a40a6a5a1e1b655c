import { describe, expect, it } from "vitest";
import { type FoundFeatures, PictureCodes, SessionCodes } from "./picture-codes";
import { emptyRegion, paintShape } from "./region";
import { RegionRanking } from "./region-ranking";
import { rankPictures } from "./region-search";
import { halfToFloat } from "./sparse-map";

const map = (cells: Record<number, number>) => ({
  positions: Uint16Array.from(Object.keys(cells), Number),
  values: Float32Array.from(Object.values(cells)),
});
const found = (features: Record<number, Record<number, number>>, more: Partial<FoundFeatures> = {}): FoundFeatures => ({
  rows: 2,
  cols: 2,
  total: Object.keys(features).length,
  features: Object.entries(features).map(([index, cells]) => ({ index: Number(index), map: map(cells) })),
  ...more,
});

describe("what fires on a picture, packed", () => {
  it("gives each feature's map back to fp16, in as many bytes as its numbers need", () => {
    const told = found({ 70000: { 3: 0.1 }, 5: { 0: 1.5, 2: 1e6 }, 9: { 1: 2 } }).features;
    const codes = PictureCodes.pack({ rows: 2, cols: 2, total: 4, features: told.toReversed() });
    expect(codes.mapOf(5)).toEqual({ map: map({ 0: 1.5, 2: 65_504 }), peak: 65_504 });
    expect(codes.mapOf(9)).toEqual({ map: map({ 1: 2 }), peak: 2 });
    const tenth = codes.mapOf(70_000)?.peak as number;
    expect(Math.abs(tenth - 0.1)).toBeLessThan(0.1 * 2 ** -11);
    expect(tenth).toBe(halfToFloat(0x2e66));
    expect([codes.mapOf(4), codes.mapOf(6), codes.mapOf(70_001), codes.mapOf(4_464)]).toEqual([null, null, null, null]);
    expect(codes.cut).toBe(true);
    const small = PictureCodes.pack(found({ 5: { 0: 1 } }));
    // One entry more: a byte of position and two of value; one feature more: its index and its end.
    expect(PictureCodes.pack(found({ 5: { 0: 1, 1: 1 } })).bytes - small.bytes).toBe(3);
    expect(PictureCodes.pack(found({ 5: { 0: 1 }, 6: { 0: 1 } })).bytes - small.bytes).toBe(3 + 6);
    expect(small.cut).toBe(false);
    const wide = PictureCodes.pack({ rows: 24, cols: 24, total: 1, features: [{ index: 1, map: map({ 500: 3 }) }] });
    expect(wide.mapOf(1)?.map.positions).toEqual(Uint16Array.of(500));
    expect(PictureCodes.pack(found({})).mapOf(0)).toBeNull();
  });

  it("keeps pictures within a bound over all models, and gives up another model's for one that is in use", () => {
    const codes = PictureCodes.pack(found({ 1: { 0: 1 } }));
    const session = new SessionCodes(3.5 * codes.bytes);
    const [first, second] = [session.open("a"), session.open("b")];
    expect([first.add("x", codes), first.add("x", codes), first.add("y", codes), second.add("x", codes)]).toEqual([true, true, true, true]);
    expect([first.size, session.bytes]).toEqual([2, 3 * codes.bytes]);
    expect(second.add("y", codes)).toBe(true);
    expect([first.size, first.has("x"), second.size, session.open("b")]).toEqual([0, false, 2, second]);
    expect([second.add("z", codes), second.add("q", codes)]).toEqual([true, false]);
    expect([second.has("q"), second.get("z"), session.bytes]).toEqual([false, codes, 3 * codes.bytes]);
  });
});

describe("pictures ranked as they come", () => {
  const region = paintShape(emptyRegion(2, 2), { kind: "box", from: { x: 0, y: 0 }, to: { x: 1, y: 2 } });
  const maxima = new Map([
    [1, 4],
    [2, 2],
  ]);
  // Left cells are 0 and 2.
  const pictures: [string, FoundFeatures][] = [
    ["a", found({ 1: { 0: 4, 2: 4 }, 2: { 1: 2 } })],
    ["b", found({ 1: { 0: 2 }, 2: { 0: 2, 2: 2 } })],
    ["c", found({ 1: { 1: 4, 3: 4 } })],
    ["d", found({ 2: { 0: 8, 2: 8 } })],
    ["e", found({ 1: { 0: 4, 2: 4 }, 2: { 0: 2, 2: 2 } })],
  ];

  it("scores as stored examples are scored, in any order of coming, and leaves one out", () => {
    const examples = pictures.flatMap(([, { rows, cols, features }], image) =>
      features.map(({ index, map }) => ({ index, image, rows, cols, peak: Math.max(...map.values), map })),
    );
    const stored = rankPictures(examples, region, 2, maxima);
    for (const order of [pictures, pictures.toReversed()]) {
      const ranking = new RegionRanking({ region, features: [1, 2], maxima }, 3);
      for (const [name, told] of order)
        ranking.add(
          name,
          pictures.findIndex(([one]) => one === name),
          PictureCodes.pack(told),
        );
      expect(ranking.total).toBe(4);
      expect(ranking.top.map(({ sha256, image, score }) => [sha256, image, score])).toEqual([
        ["e", 4, 1],
        ["b", 1, 0.625],
        ["a", 0, 0.5],
      ]);
      expect(ranking.top.map(({ sha256, ...one }) => one)).toEqual(stored.ranked.slice(0, 3));
    }
    const without = new RegionRanking({ region, features: [1, 2], maxima, without: "e" }, 3);
    for (const [i, [name, told]] of pictures.entries()) without.add(name, i, PictureCodes.pack(told));
    expect([without.total, without.top.map(({ sha256 }) => sha256)]).toEqual([3, ["b", "a", "d"]]);
  });
});
