import { describe, expect, it } from "vitest";
import { divergingRamp, heatRamp, type Theme } from "@/lib/core/heat";
import { divergingTint, relativeLuminance, tokenTint } from "./token-tint";

const surface = { light: [0xfb, 0xfb, 0xfa], dark: [0x13, 0x14, 0x16] } as const;

describe("tokenTint", () => {
  it("leaves inactive tokens alone", () => {
    expect(tokenTint(0, 5, "light")).toBeNull();
    expect(tokenTint(-1, 5, "dark")).toBeNull();
  });
  it.each([
    ["light", "heat"],
    ["dark", "heat"],
    ["light", "diverging"],
    ["dark", "diverging"],
  ] as [Theme, "heat" | "diverging"][])("keeps every tint readable (contrast ≥ 4.5) in the %s theme on the %s ramp", (theme, scale) => {
    const ramp = scale === "heat" ? heatRamp(theme) : divergingRamp(theme);
    for (let entry = scale === "heat" ? 1 : 0; entry < 256; entry++) {
      if (scale === "diverging" && (entry === 127 || entry === 128)) continue;
      const alpha = (ramp[4 * entry + 3] as number) / 255;
      const seen = [0, 1, 2].map((i) => alpha * (ramp[4 * entry + i] as number) + (1 - alpha) * (surface[theme][i] as number));
      const back = relativeLuminance(seen as [number, number, number]);
      const tint = scale === "heat" ? tokenTint(entry, 255, theme) : divergingTint(entry - 127.5, 127.5, theme);
      const ink = tint?.ink === "#fff" ? 1 : 0;
      const contrast = (Math.max(back, ink) + 0.05) / (Math.min(back, ink) + 0.05);
      expect(contrast).toBeGreaterThanOrEqual(4.5);
    }
  });
  it("tints both signs, and zero not at all", () => {
    expect(divergingTint(0, 5, "light")).toBeNull();
    expect(divergingTint(-5, 5, "light")?.background).not.toBe(divergingTint(5, 5, "light")?.background);
  });
});
