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

const traced = (arm: Arm, asked = link) => {
  const address = new URL(whyAddress(asked, arm, 2) ?? "", "http://localhost");
  expect([address.pathname, address.searchParams.get("token")]).toEqual(["/trace", "2"]);
  const { clamps, controls, sweep, watch } = decodeSteerLink(address.searchParams.get("r") ?? "");
  expect({ controls, sweep, watch }).toEqual({ controls: [], sweep: null, watch: [] });
  return clamps.map(({ feature, op, value }) => (op === "set" ? [feature, value] : [feature, op, value]));
};

it("asks with the clamps under which the arm answered, and with no others", () => {
  expect(traced("steered")).toEqual([
    [3, 1],
    [5, 1],
  ]);
  expect(traced("baseline")).toEqual([]);
  expect(traced("sweep:1")).toEqual([
    [3, 1],
    [5, 4],
  ]);
});

it("turns round, for the negated answer, what a clamp can turn round", () => {
  const turned = {
    ...link,
    clamps: [clamp(3, { op: "scale", value: 4 }), clamp(4, { op: "add", value: 1.5 }), clamp(5, { op: "ablate", value: 0 })],
  };
  expect(traced("negated", turned)).toEqual([
    [3, "scale", -2],
    [4, "add", -1.5],
    [5, "scale", 2],
  ]);
  expect(whyAddress({ ...turned, mode: "reconstruct" }, "negated", 0)).toBeNull();
});

it("gives no address for an answer that no clamps of the request made", () => {
  for (const arm of ["random", "reconstruction", "negated", "sweep:7"] as const) expect(whyAddress(link, arm, 0)).toBeNull();
});
