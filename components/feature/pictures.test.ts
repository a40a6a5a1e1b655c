import { describe, expect, it } from "vitest";
import type { ImageExample } from "@/lib/core/records";
import { encodeMap } from "@/lib/core/sparse-map";
import { activeCells, exampleFrom, locate, peakCell, pictureScale, pictureTabs, stepCell, textScale } from "./pictures";

function picture(image: string, peak = 1, cells: Record<number, number> = {}): ImageExample {
  const positions = Uint16Array.from(Object.keys(cells).map(Number));
  const values = Float32Array.from(Object.values(cells));
  return { image: image.repeat(64).slice(0, 64), rows: 3, cols: 4, peak, mean: 0, map: encodeMap({ positions, values }) };
}
const text = (peak: number) => ({ tokens: ["a"], image: null, peak, map: { p: "", v: "" } });
const examples = (parts: Partial<Record<"top" | "upper" | "random", ImageExample[]>>) => ({
  top: [],
  upper: [],
  middle: [],
  lower: [],
  random: [],
  ...parts,
});

describe("locate", () => {
  const detail = { examples: examples({ top: [picture("a"), picture("b")], random: [picture("b"), picture("c")] }), texts: [text(2)] };

  it("opens the first tab that has something", () => {
    expect(locate(detail, { tab: null, image: null })).toEqual({ tab: "top", position: 0, missing: false });
    expect(locate(detail, { tab: "upper", image: null })).toEqual({ tab: "top", position: 0, missing: false });
    expect(locate({ examples: examples({}), texts: [text(1)] }, { tab: null, image: null }).tab).toBe("text");
    expect(locate({ examples: examples({}), texts: [] }, { tab: "top", image: null }).tab).toBeNull();
  });
  it("finds a picture by a prefix of its hash, in the asked band first", () => {
    expect(locate(detail, { tab: null, image: "b".repeat(12) })).toEqual({ tab: "top", position: 1, missing: false });
    expect(locate(detail, { tab: "random", image: "b".repeat(12) })).toEqual({ tab: "random", position: 0, missing: false });
    expect(locate(detail, { tab: "top", image: "c".repeat(64) })).toEqual({ tab: "random", position: 1, missing: false });
  });
  it("says when the picture is not among the examples", () => {
    expect(locate(detail, { tab: null, image: "d".repeat(12) })).toEqual({ tab: "top", position: 0, missing: true });
    expect(locate(detail, { tab: null, image: "b" }).missing).toBe(false);
  });
});

describe("tabs and scales", () => {
  it("keeps all six tabs in order", () => {
    const tabs = pictureTabs({ examples: examples({ random: [picture("a")] }), texts: [] });
    expect(tabs.map((tab) => [tab.key, tab.count])).toEqual([
      ["top", 0],
      ["upper", 0],
      ["middle", 0],
      ["lower", 0],
      ["random", 1],
      ["text", 0],
    ]);
  });
  it("shows texts alone where no picture was looked at", () => {
    expect(pictureTabs({ examples: examples({}), texts: [text(1)] }).map((tab) => tab.key)).toEqual(["text"]);
    expect(pictureTabs({ examples: examples({}), texts: [] })).toHaveLength(6);
  });
  it("puts the picture of a link first, and only where there is one", () => {
    const detail = { examples: { ...examples({ top: [picture("a")] }), here: [picture("e", 12)] }, texts: [] };
    expect(pictureTabs(detail)[0]).toMatchObject({ key: "here", count: 1 });
    expect(locate(detail, { tab: null, image: "e".repeat(64) })).toEqual({ tab: "here", position: 0, missing: false });
    expect(pictureScale({ ...detail, feature: { maxActivation: 5 } })).toBe(12);
    const analysed = { index: 3, peak: 2, mean: 0.5, map: { p: "", v: "" } };
    const analysis = { rows: 3, cols: 4, features: [analysed] } as unknown as Parameters<typeof exampleFrom>[0];
    expect(exampleFrom(analysis, "f".repeat(64), 3)).toMatchObject({ image: "f".repeat(64), rows: 3, cols: 4, peak: 2 });
    expect(exampleFrom(analysis, "f".repeat(64), 4)).toBeNull();
  });
  it("spans every picture and never is zero", () => {
    const detail = { examples: examples({ top: [picture("a", 3)], random: [picture("b", 7)] }), texts: [text(20)] };
    expect(pictureScale({ ...detail, feature: { maxActivation: 5 } })).toBe(7);
    expect(pictureScale({ ...detail, feature: { maxActivation: 9 } })).toBe(9);
    expect(pictureScale({ examples: examples({}), texts: [], feature: { maxActivation: null } })).toBe(1);
    expect(textScale(detail)).toBe(20);
    expect(textScale({ examples: examples({}), texts: [] })).toBe(1);
  });
  it("counts active cells and finds the peak", () => {
    const one = picture("a", 4, { 2: 1, 7: 4, 9: 0.5 });
    expect(activeCells(one)).toBe(3);
    expect(peakCell(one)).toBe(7);
    expect(peakCell(picture("a"))).toBeNull();
  });
});

describe("stepCell", () => {
  it("moves within the grid and stops at its edges", () => {
    expect(stepCell(5, "ArrowRight", 3, 4)).toBe(6);
    expect(stepCell(7, "ArrowRight", 3, 4)).toBe(7);
    expect(stepCell(5, "ArrowUp", 3, 4)).toBe(1);
    expect(stepCell(1, "ArrowUp", 3, 4)).toBe(1);
    expect(stepCell(5, "Home", 3, 4)).toBe(4);
    expect(stepCell(5, "End", 3, 4)).toBe(7);
    expect(stepCell(5, "x", 3, 4)).toBeNull();
  });
});
