import { describe, expect, it } from "vitest";
import { interventionSchema } from "@/lib/core/protocol";
import { describeScope, describeStrength, formatStrength, presets } from "./clamp-words";
import { startingClamp } from "./state";

describe("a clamp in words", () => {
  it("says what each op does with its strength", () => {
    expect(describeStrength({ op: "set", value: 2, unit: "max" })).toBe("set to 2 × max");
    expect(describeStrength({ op: "set", value: -0.25, unit: "raw" })).toBe("set to −0.25 raw");
    expect(describeStrength({ op: "add", value: 1, unit: "max" })).toBe("raised by 1 × max");
    expect(describeStrength({ op: "add", value: -1.5, unit: "max" })).toBe("lowered by 1.5 × max");
    expect(describeStrength({ op: "scale", value: 0.5, unit: "max" })).toBe("multiplied by 0.5");
    expect(describeStrength({ op: "ablate", value: 7, unit: "max" })).toBe("removed");
    expect(formatStrength(1000)).toBe("1,000");
  });

  it("says where", () => {
    expect(describeScope({ type: "region", image: 0, cells: [3] })).toBe("on 1 cell of the picture");
    expect(describeScope({ type: "all" })).toBe("everywhere");
  });
});

describe("presets", () => {
  it("all give clamps that the contract takes", () => {
    for (const preset of presets) {
      const clamp = { ...startingClamp(1, 1), ...preset.patch(startingClamp(1, 1)) };
      const { muted: _muted, solo: _solo, ...intervention } = clamp;
      expect(interventionSchema.parse(intervention)).toEqual(intervention);
    }
  });

  it("turn a strength round and back", () => {
    const opposite = presets.find((preset) => preset.name === "Opposite");
    expect(opposite?.patch(startingClamp(1, 1))).toMatchObject({ op: "set", value: -startingClamp(1, 1).value });
    expect(opposite?.patch({ ...startingClamp(1, 1), value: -2 })).toMatchObject({ value: 2 });
    expect(opposite?.patch({ ...startingClamp(1, 1), op: "ablate", value: 0 })).toMatchObject({ op: "set", value: -1 });
  });
});
