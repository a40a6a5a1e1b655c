import { describe, expect, it } from "vitest";
import { cardSize } from "@/lib/core/card";
import type { ExperimentSummary } from "@/lib/core/experiment";
import { sharp } from "@/lib/sharp";
import { experimentCard } from "./experiment-card";
import { directionOf, graphemes, printable } from "./words";

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

  it("sets every common script, emoji as pictures, and a box for what no font has", async () => {
    expect(await printable("Łódź  Ωmega\nПривет “ok” × 4 → é")).toBe("Łódź Ωmega Привет “ok” × 4 → é");
    expect(await printable("漢字 れもん 레몬 ليمون לימון नींबू ไทย 😀👩🏽‍🚀")).toBe("漢字 れもん 레몬 ليمون לימון नींबू ไทย 😀👩🏽‍🚀");
    expect(await printable("\u{13000}a\u202Eb\uE000\uD800 🇫🇷")).toBe("□ab□□ FR");
  });

  it.each([
    ["Chinese", "柠檬在左边"],
    ["Japanese", "れもんがひだり"],
    ["Korean", "왼쪽에 레몬이"],
    ["Arabic", "ليمون على اليسار"],
    ["Hebrew", "לימון בצד שמאל"],
    ["Hindi", "बाईं ओर नींबू"],
    ["Bengali", "বাম দিকে লেবু"],
    ["Tamil", "இடதுபுறம் எலுமிச்சை"],
    ["Thai", "มะนาวอยู่ทางซ้าย"],
    ["Georgian", "ლიმონი მარცხნივ"],
    ["emoji", "🍋🐕🔥"],
    ["none", "\u{13000}\u{13001}\u{13002}\u{13003}"],
  ])("draws letters and no gap: %s", async (_, steered) => {
    const png = await experimentCard({ ...experiment, title: "x", question: "", baseline: null, steered }, null);
    // The line of the answer, and of it how much is ink; a letter of this size has more than 40 pixels of it.
    const line = await sharp(png).extract({ left: 50, top: 150, width: 1100, height: 50 }).png().toBuffer();
    expect((await look(line)).drawn * 1100 * 50).toBeGreaterThan(40 * graphemes(steered).filter((letter) => letter !== " ").length);
  });

  it("sets what is written from the right from the right", async () => {
    const steered = "ليمون على اليسار";
    const halves = async (text: string) => {
      const png = await experimentCard({ ...experiment, title: "x", question: "", baseline: null, steered: text }, null);
      const side = (left: number) => sharp(png).extract({ left, top: 150, width: 500, height: 120 }).png().toBuffer();
      return Promise.all([side(50), side(650)].map(async (half) => (await sharp(await half).stats()).channels[0]?.mean ?? 0));
    };
    const [left, right] = await halves(steered);
    expect(right).toBeLessThan(left as number);
    expect(directionOf("12 ليمون")).toBe("rtl");
    expect(directionOf("12 lemon ليمون")).toBe("ltr");
  });

  it("holds whatever length its texts have", async () => {
    const long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk".repeat(6);
    const words = `${"and a very red lemon ".repeat(80)}${long}`;
    expect(
      await look(await experimentCard({ ...experiment, title: long, question: words, steered: words, baseline: words }, null)),
    ).toMatchObject(cardSize);
  });
});
