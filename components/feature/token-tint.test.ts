import { describe, expect, it } from "vitest";
import { heatRamp, type Theme } from "@/lib/core/heat";
import { relativeLuminance, tokenTint } from "./token-tint";

const surface = { light: [0xfb, 0xfb, 0xfa], dark: [0x13, 0x14, 0x16] } as const;

describe("tokenTint", () => {
  it("leaves inactive tokens alone", () => {
    expect(tokenTint(0, 5, "light")).toBeNull();
    expect(tokenTint(-1, 5, "dark")).toBeNull();
  });
  it.each(["light", "dark"] as Theme[])("keeps every tint readable (contrast ≥ 4.5) in the %s theme", (theme) => {
    const ramp = heatRamp(theme);
    for (let entry = 1; entry < 256; entry++) {
      const alpha = (ramp[4 * entry + 3] as number) / 255;
      const seen = [0, 1, 2].map((i) => alpha * (ramp[4 * entry + i] as number) + (1 - alpha) * (surface[theme][i] as number));
      const back = relativeLuminance(seen as [number, number, number]);
      const ink = tokenTint(entry, 255, theme)?.ink === "#fff" ? 1 : 0;
      const contrast = (Math.max(back, ink) + 0.05) / (Math.min(back, ink) + 0.05);
      expect(contrast).toBeGreaterThanOrEqual(4.5);
    }
  });
});
