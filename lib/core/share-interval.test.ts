import { expect, test } from "vitest";
import { shareWithInterval } from "./share-interval";

test("the interval's ends are the shares whose score test the trials just pass", () => {
  for (const [hits, of] of [
    [3, 10],
    [1, 40],
    [55, 60],
  ] as const) {
    const { low, high, share } = shareWithInterval(hits, of);
    for (const end of [low, high]) {
      const z = ((share as number) - end) / Math.sqrt((end * (1 - end)) / of);
      expect(Math.abs(z)).toBeCloseTo(1.96, 3);
    }
    expect(low).toBeLessThan(share as number);
    expect(high).toBeGreaterThan(share as number);
  }
});

test("none and all keep an open side, and no trials say nothing", () => {
  expect(shareWithInterval(0, 20)).toMatchObject({ share: 0, low: 0, high: expect.closeTo(0.161, 3) });
  expect(shareWithInterval(20, 20)).toMatchObject({ share: 1, low: expect.closeTo(0.839, 3), high: 1 });
  expect(shareWithInterval(0, 0)).toEqual({ hits: 0, of: 0, share: null, low: 0, high: 1 });
});
