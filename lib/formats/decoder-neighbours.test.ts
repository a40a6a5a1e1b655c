import { describe, expect, it } from "vitest";
import { decoderNeighbours, decoderNeighbourTable } from "./decoder-neighbours";

const [latents, width] = [150, 24];

/** Decoder rows of many lengths: one of zeros, one of NaN, one three times another. */
function rowsOf(): Float32Array {
  const rows = Float32Array.from({ length: latents * width }, (_, at) => {
    const noise = Math.sin(at * 12.9898) * 43_758.5453;
    return Math.fround(noise - Math.floor(noise) - 0.5) * (1 + (Math.floor(at / width) % 7));
  });
  rows.fill(0, 17 * width, 18 * width);
  rows.fill(Number.NaN, 40 * width, 41 * width);
  for (let i = 0; i < width; i++) rows[90 * width + i] = (rows[10 * width + i] as number) * 3;
  return rows;
}

const rows = rowsOf();
const weights = {
  num_latents: latents,
  width,
  decoderRows: async (start: number, end: number) => rows.slice(start * width, end * width),
};

/** By numpy in float64: the ten nearest of some rows, with cosines. */
const numpy: Record<number, [number, number][]> = {
  0: [
    [136, 0.541285],
    [116, 0.464283],
    [24, 0.451178],
    [47, 0.391973],
    [127, 0.386273],
    [128, 0.372061],
    [20, 0.358279],
    [92, 0.350209],
    [44, 0.298338],
    [144, 0.284328],
  ],
  10: [
    [90, 1.0],
    [46, 0.518758],
    [123, 0.433832],
    [139, 0.411764],
    [43, 0.382531],
    [23, 0.369442],
    [74, 0.350297],
    [145, 0.326773],
    [49, 0.310003],
    [79, 0.298643],
  ],
  63: [
    [52, 0.429481],
    [31, 0.404702],
    [142, 0.389385],
    [3, 0.371829],
    [91, 0.36897],
    [140, 0.330847],
    [55, 0.317722],
    [143, 0.317121],
    [108, 0.31179],
    [145, 0.271102],
  ],
  64: [
    [135, 0.5087],
    [105, 0.422851],
    [42, 0.4025],
    [11, 0.369819],
    [25, 0.359119],
    [129, 0.340441],
    [28, 0.326607],
    [3, 0.324491],
    [114, 0.321673],
    [141, 0.314956],
  ],
  90: [
    [10, 1.0],
    [46, 0.518758],
    [123, 0.433832],
    [139, 0.411764],
    [43, 0.382531],
    [23, 0.369442],
    [74, 0.350297],
    [145, 0.326773],
    [49, 0.310003],
    [79, 0.298643],
  ],
  149: [
    [9, 0.453433],
    [50, 0.356383],
    [79, 0.351287],
    [111, 0.342199],
    [42, 0.341627],
    [8, 0.336438],
    [32, 0.317985],
    [25, 0.30597],
    [138, 0.300946],
    [61, 0.290949],
  ],
};

async function all(rowsABlock?: number) {
  const found = new Map<number, { neighbour: number; value: number }[]>();
  for await (const { index, ranked } of decoderNeighbours(weights, { rows: rowsABlock })) found.set(index, ranked);
  return found;
}

describe("nearest decoder rows", () => {
  it("are those that numpy finds, in blocks of any size", async () => {
    const whole = await all();
    for (const [index, wanted] of Object.entries(numpy)) {
      const got = whole.get(Number(index));
      expect(got?.map(({ neighbour }) => neighbour)).toEqual(wanted.map(([neighbour]) => neighbour));
      wanted.forEach(([, value], i) => {
        expect(got?.[i]?.value).toBeCloseTo(value, 5);
      });
    }
    for (const size of [7, 64, 149]) {
      const inBlocks = await all(size);
      for (const [index, ranked] of whole) {
        expect(inBlocks.get(index)?.map(({ neighbour }) => neighbour)).toEqual(ranked.map(({ neighbour }) => neighbour));
      }
    }
  });

  it("leave out rows that point nowhere, on both sides, and the row itself", async () => {
    const found = await all(32);
    expect(found.size).toBe(148);
    for (const [index, ranked] of found) {
      expect(ranked).toHaveLength(10);
      for (const { neighbour } of ranked) expect([17, 40, index]).not.toContain(neighbour);
    }
  });

  it("hold a block and no more of the weights", async () => {
    let most = 0;
    const counted = {
      ...weights,
      decoderRows: (start: number, end: number) => {
        most = Math.max(most, end - start);
        return weights.decoderRows(start, end);
      },
    };
    for await (const _ of decoderNeighbours(counted, { rows: 16 }));
    expect(most).toBe(16);
  });

  it("stop where they are told to", async () => {
    const stop = new AbortController();
    const reading = (async () => {
      for await (const { index } of decoderNeighbours(weights, { rows: 16, signal: stop.signal })) if (index === 3) stop.abort();
    })();
    await expect(reading).rejects.toThrow();
  });

  it("are a bundle's table, also of a dictionary of one latent", async () => {
    const read = async (table: ReturnType<typeof decoderNeighbourTable>) => {
      const got = [];
      for await (const batch of table.batches()) got.push(...batch);
      return got;
    };
    const table = decoderNeighbourTable("sae.safetensors", weights);
    const got = await read(table);
    expect(got[0]).toEqual({
      index: 0,
      kind: "decoder",
      rank: 0,
      neighbour: numpy[0]?.[0]?.[0],
      value: expect.closeTo(numpy[0]?.[0]?.[1] as number, 5),
    });
    expect(got).toHaveLength(1_480);
    expect(await read(decoderNeighbourTable("one", { ...weights, num_latents: 1 }))).toEqual([]);
  });
});
