import { describe, expect, it } from "vitest";
import { decodeMap, encodeBytes } from "@/lib/core/sparse-map";
import { excerpt } from "./top-maps";

function row(active: Record<number, number>) {
  const { positions, values } = encodeBytes({
    positions: Uint16Array.from(Object.keys(active).map(Number)),
    values: Float32Array.from(Object.values(active)),
  });
  return { map_positions: Buffer.from(positions), map_values: Buffer.from(values), peak: Math.max(...Object.values(active)) };
}
const tokens = (n: number) => Array.from({ length: n }, (_, i) => `t${i}`);

describe("the text on a card", () => {
  it("is the part around its peak, with the map over that part", () => {
    const part = excerpt(tokens(128), row({ 3: 1, 62: 2, 64: 8, 100: 4 }));
    expect(part.tokens[0]).toBe("t54");
    expect(part.tokens).toHaveLength(17);
    const map = decodeMap(part.map);
    expect([...map.positions].map((i) => part.tokens[i])).toEqual(["t62", "t64"]);
    expect([...map.values]).toEqual([2, 8]);
    expect(part.peak).toBe(8);
  });

  it("is whole where it is short, and stays within the text at either end", () => {
    expect(excerpt(tokens(5), row({ 4: 1 })).tokens).toHaveLength(5);
    expect(excerpt(tokens(40), row({ 39: 1 })).tokens.at(-1)).toBe("t39");
    expect(excerpt(tokens(40), row({ 0: 1 })).tokens[0]).toBe("t0");
    expect(excerpt(tokens(40), row({ 39: 1 })).tokens).toHaveLength(17);
  });
});
