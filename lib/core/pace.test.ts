import { expect, it } from "vitest";
import { Pace, spread } from "./pace";

it("tells the pace of late, a stall too, and nothing of what was before a rest", () => {
  const pace = new Pace();
  expect(pace.rate(5)).toBeNull();
  pace.start(0);
  for (const now of [100, 200]) pace.mark(now);
  expect([pace.rate(200), pace.secondsLeft(10, 200)]).toEqual([null, null]);
  pace.mark(300);
  expect([pace.rate(300), pace.secondsLeft(100, 300), pace.rate(3_000)]).toEqual([10, 10, 1]);
  // Two a second from now on: after the window nothing of the faster beginning is left.
  for (let now = 800; now <= 30_300; now += 500) pace.mark(now);
  expect(pace.rate(30_300)).toBe(2);
  pace.start(90_000);
  expect(pace.rate(90_001)).toBeNull();
  // Slower than the window is long.
  for (const now of [120_000, 150_000, 180_000]) pace.mark(now);
  expect(pace.rate(180_000)).toBeCloseTo(1 / 30);
});

it("orders numbers so that each beginning is spread over all", () => {
  for (const n of [0, 1, 2, 3, 10, 97, 4_200]) expect(spread(n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  const first = spread(4_200).slice(0, 42);
  const tenths = Array.from({ length: 10 }, (_, i) => first.filter((at) => Math.floor(at / 420) === i).length);
  expect([Math.min(...tenths) >= 3, Math.max(...tenths) <= 6]).toEqual([true, true]);
});
