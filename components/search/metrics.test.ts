import { expect, it } from "vitest";
import { emptyFeatureQuery } from "@/lib/core/feature-query";
import { metricKeys } from "@/lib/core/records";
import { orderNote } from "./list-notes";
import { inSentence, metrics } from "./metrics";

it("writes names small within a sentence, and leaves abbreviations their capitals", () => {
  expect(["Steering effect", "Density", "IoU", "IoU ≥ 0.5", "CLIP score", "Not dead", "Always on", "#3", "a"].map(inSentence)).toEqual([
    "steering effect",
    "density",
    "IoU",
    "IoU ≥ 0.5",
    "CLIP score",
    "not dead",
    "always on",
    "#3",
    "a",
  ]);
});

it("says every order of a list in a sentence without a capital that is not its own", () => {
  for (const sort of metricKeys) {
    const name = metrics[sort].name;
    const note = orderNote({ ...emptyFeatureQuery, sort, direction: "desc" });
    expect(note).toBe(`From the greatest ${/IoU|CLIP/.test(name) ? name : name.toLowerCase()}; features without one come last.`);
  }
  expect(orderNote({ ...emptyFeatureQuery, sort: "index" })).toBeNull();
});
