import { describe, expect, it } from "vitest";
import { clientOf, saveLimiter } from "./save-limits";

const from = (forwarded?: string) =>
  new Request("http://127.0.0.1/", forwarded ? { headers: { "x-forwarded-for": forwarded } } : undefined);

describe("limits of saving", () => {
  it("are by the address that the nearest proxy wrote, and by the network of an IPv6 one", () => {
    expect(clientOf(from("6.6.6.6, 1.2.3.4"))).toBe("1.2.3.4");
    expect(clientOf(from("::ffff:1.2.3.4"))).toBe("1.2.3.4");
    expect(clientOf(from("2001:db8:1:2::7"))).toBe(clientOf(from("2001:DB8:1:2:3:4:5:6")));
    expect(clientOf(from("2001:db8:1:3::7"))).not.toBe(clientOf(from("2001:db8:1:2::7")));
    expect(clientOf(from())).toBe("");
  });

  it("hold for all clients together, whatever address each says it has", () => {
    const limiter = saveLimiter({ perClient: 10, perHour: 3 });
    for (const address of ["1.1.1.1", "1.1.1.2", "1.1.1.3"]) limiter.take(from(address), 0);
    expect(() => limiter.take(from("1.1.1.4"), 1_000)).toThrow(expect.objectContaining({ code: "too_many_saved", retryAfterS: 3_599 }));
    limiter.take(from("1.1.1.4"), 3_600_000);
  });
});
