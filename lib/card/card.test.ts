import { describe, expect, it } from "vitest";
import { cardSize } from "@/lib/core/card";
import type { ExperimentSummary } from "@/lib/core/experiment";
import { sharp } from "@/lib/sharp";
import { experimentCard } from "./experiment-card";
import { cardFonts } from "./fonts";

const experiment: ExperimentSummary = {
  id: "abcdefghijklmnop",
  createdAt: "2026-01-02T03:04:05.000Z",
  title: "Does a clamped lemon taste sour?",
  note: "",
  dictionary: "model/model.layers.1",
  question: "What do you see?",
  picture: null,
  clamps: [],
  steered: "a lemon on the left and a dog on the right",
  baseline: "a dog on the right",
  outcome: "steered",
  arms: 2,
};

const picture = async () =>
  new Uint8Array(
    await sharp({ create: { width: 300, height: 200, channels: 3, background: "#e04020" } })
      .png()
      .toBuffer(),
  );

/** Size, number of channels and the share of pixels that are not of the background. */
async function look(png: Uint8Array) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  let drawn = 0;
  let red = 0;
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [data[i] as number, data[i + 1] as number, data[i + 2] as number];
    if (Math.abs(r - 0xfb) + Math.abs(g - 0xfb) + Math.abs(b - 0xfa) > 30) drawn++;
    if (r > 200 && g < 90 && b < 60) red++;
  }
  return { width: info.width, height: info.height, drawn: drawn / (data.length / 3), red };
}

describe("a card", () => {
  it("has the size that readers ask for, the words and the picture, unstretched", async () => {
    const plain = await look(await experimentCard(experiment, null));
    expect(plain).toMatchObject({ ...cardSize, red: 0 });
    expect(plain.drawn).toBeGreaterThan(0.015);
    const pictured = await look(await experimentCard(experiment, await picture()));
    // 400 wide, and as high as its own proportions say.
    expect(pictured.red / (400 * 267)).toBeGreaterThan(0.97);
    expect(pictured.red / (400 * 267)).toBeLessThan(1.03);
    const silent = await look(await experimentCard({ ...experiment, title: "x", question: "", steered: "", baseline: null }, null));
    expect(silent.drawn).toBeLessThan(plain.drawn / 2);
  });

  it("leaves out what its font lacks, and asks nobody for it", async () => {
    const { printable } = await cardFonts();
    expect(printable("Łódź  Ωmega\nПривет “ok” × 4 → é")).toBe("Łódź Ωmega Привет “ok” × 4 é");
    expect(printable("漢字 😀 مرحبا")).toBe("");
    const foreign = await experimentCard({ ...experiment, title: "漢字", steered: "😀 مرحبا", question: "漢" }, null);
    expect(await look(foreign)).toMatchObject(cardSize);
  });

  it("holds whatever length its texts have", async () => {
    const long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk".repeat(6);
    const words = `${"and a very red lemon ".repeat(80)}${long}`;
    expect(
      await look(await experimentCard({ ...experiment, title: long, question: words, steered: words, baseline: words }, null)),
    ).toMatchObject(cardSize);
  });
});
