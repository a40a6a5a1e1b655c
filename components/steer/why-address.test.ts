import { expect, it } from "vitest";
import type { Arm } from "@/lib/core/protocol";
import { decodeSteerLink, type LinkedClamp, type SteerLink } from "@/lib/core/steer-link";
import { emptyLink } from "./state";
import { whyAddress } from "./why-address";

const clamp = (feature: number, over: Partial<LinkedClamp> = {}): LinkedClamp => ({
  feature,
  op: "set",
  value: 1,
  unit: "max",
  scope: { type: "all" },
  muted: false,
  solo: false,
  ...over,
});
const link: SteerLink = {
  ...emptyLink("m/d", null),
  messages: [{ role: "user", content: [{ type: "text", text: "why" }] }],
  clamps: [clamp(3), clamp(4, { muted: true }), clamp(5)],
  controls: ["baseline", "random"],
  sweep: { clamp: 2, values: [0, 4] },
  watch: ["dog"],
};

const traced = (arm: Arm, of = link) => {
  const address = new URL(whyAddress(of, arm, 2) ?? "", "http://localhost");
  expect([address.pathname, address.searchParams.get("token")]).toEqual(["/trace", "2"]);
  const { clamps, mode, controls, sweep, watch } = decodeSteerLink(address.searchParams.get("r") ?? "");
  expect({ controls, sweep, watch }).toEqual({ controls: [], sweep: null, watch: [] });
  return {
    clamps: clamps.map(({ feature, op, value }) => (op === "set" ? [feature, value] : [feature, op, value])),
    mode,
    control: address.searchParams.get("control"),
  };
};
const asked = [
  [3, 1],
  [5, 1],
];

it("asks with the clamps under which the arm answered, and with no others", () => {
  expect(traced("steered")).toEqual({ clamps: asked, mode: "delta", control: null });
  expect(traced("sweep:1").clamps).toEqual([
    [3, 1],
    [5, 4],
  ]);
});

it("takes the dictionary out for the baseline and puts it in for the reconstruction, whatever the mode of the clamps", () => {
  for (const mode of ["delta", "reconstruct"] as const) {
    expect(traced("baseline", { ...link, mode })).toEqual({ clamps: [], mode: "delta", control: null });
    expect(traced("reconstruction", { ...link, mode })).toEqual({ clamps: [], mode: "reconstruct", control: null });
  }
});

it("names the control where no clamps make its answer", () => {
  for (const mode of ["delta", "reconstruct"] as const) {
    for (const control of ["random", "negated"] as const) {
      expect(traced(control, { ...link, mode })).toEqual({ clamps: asked, mode, control });
    }
  }
  // Without clamps a control is the model itself.
  expect(traced("random", { ...link, clamps: [] }).control).toBeNull();
  // Beyond the largest strength.
  expect(traced("negated", { ...link, clamps: [clamp(3, { op: "scale", value: -999 })] }).control).toBe("negated");
});

it("turns round, for the negated answer, what a clamp can turn round", () => {
  const turned = {
    ...link,
    clamps: [clamp(3, { op: "scale", value: 4 }), clamp(4, { op: "add", value: 1.5 }), clamp(5, { op: "ablate", value: 0 })],
  };
  for (const mode of ["delta", "reconstruct"] as const) {
    const clamps = [
      [3, "scale", -2],
      [4, "add", -1.5],
      [5, "scale", 2],
    ];
    expect(traced("negated", { ...turned, mode })).toEqual({ clamps, mode, control: null });
  }
});

it("gives no address for a point that the request does not have", () => {
  expect(whyAddress(link, "sweep:7", 0)).toBeNull();
});
