import { describe, expect, it } from "vitest";
import { HourlyCount } from "./hourly";

const minute = 60_000;

describe("a count by the hour", () => {
  it("stops at its limit, key by key, and goes on as the first hour passes", () => {
    const count = new HourlyCount(2);
    expect(count.take("a", 0)).toHaveProperty("release");
    expect(count.take("a", 10 * minute)).toHaveProperty("release");
    expect(count.take("a", 20 * minute)).toEqual({ waitS: 40 * 60 });
    expect(count.take("b", 20 * minute)).toHaveProperty("release");
    expect(count.take("a", 60 * minute)).toHaveProperty("release");
    expect(count.take("a", 61 * minute)).toEqual({ waitS: 9 * 60 });
  });

  it("gives back what did not happen, and never counts at a limit of 0", () => {
    const count = new HourlyCount(1);
    const taken = count.take("a", 0);
    if ("release" in taken) taken.release();
    expect(count.take("a", 1)).toHaveProperty("release");
    expect(count.take("a", 2)).toHaveProperty("waitS");
    expect(new HourlyCount(0).take("a", 0)).toEqual({ waitS: 3600 });
  });
});
