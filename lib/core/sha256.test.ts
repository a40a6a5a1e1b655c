import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { sha256, sha256Portable } from "./sha256";

it("agrees with the platform's own at every length around a block's end", async () => {
  for (const length of [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 128, 10_000]) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256);
    const expected = createHash("sha256").update(bytes).digest("hex");
    expect(sha256Portable(bytes)).toBe(expected);
    expect(await sha256(bytes)).toBe(expected);
  }
});
