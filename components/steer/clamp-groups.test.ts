import { expect, it } from "vitest";
import { groupClamps } from "./clamp-groups";
import type { Clamp } from "./state";

const clamp = (id: number, op: Clamp["op"], scope: Clamp["scope"] = { type: "image" }): Clamp => ({
  id,
  feature: id,
  op,
  value: 1,
  unit: "max",
  scope,
  muted: false,
  solo: false,
});
const ids = (clamps: Clamp[]) =>
  groupClamps(clamps).map((group) => (group.type === "one" ? group.clamp.id : group.clamps.map(({ id }) => id)));

it("shows three and more neighbours that ablate in one place as one, and all else by itself", () => {
  expect(ids([clamp(1, "set"), clamp(2, "ablate"), clamp(3, "ablate"), clamp(4, "ablate"), clamp(5, "set")])).toEqual([1, [2, 3, 4], 5]);
  expect(ids([clamp(1, "ablate"), clamp(2, "ablate")])).toEqual([1, 2]);
  expect(ids([clamp(1, "ablate"), clamp(2, "ablate"), clamp(3, "ablate", { type: "all" }), clamp(4, "ablate")])).toEqual([1, 2, 3, 4]);
  expect(ids([])).toEqual([]);
});
