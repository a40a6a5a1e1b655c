/** The font of cards, from this project's own packages: a card is the same on every machine, and nobody is asked for a glyph. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";

const folder = () => path.join(/* turbopackIgnore: true */ env.root, "node_modules", "@fontsource", "inter");
/** Scripts that can be set; the first has the figures and signs. */
const subsets = ["latin", "latin-ext", "greek", "cyrillic", "vietnamese"] as const;
const weights = [400, 600] as const;

export interface CardFonts {
  fonts: { name: string; data: Buffer; weight: 400 | 600; style: "normal" }[];
  family: string;
  /** The text without what the font lacks; white space is folded. */
  printable(text: string): string;
}

/** `U+0000-00FF,U+0131` → ranges of code points. */
function readRanges(text: string): [number, number][] {
  return text.split(",").map((part) => {
    const [from = "", to = from] = part.replace("U+", "").split("-");
    return [Number.parseInt(from, 16), Number.parseInt(to, 16)];
  });
}

async function load(): Promise<CardFonts> {
  const fonts: CardFonts["fonts"] = [];
  for (const subset of subsets) {
    for (const weight of weights) {
      const data = await readFile(path.join(/* turbopackIgnore: true */ folder(), "files", `inter-${subset}-${weight}-normal.woff`));
      fonts.push({ name: `Inter ${subset}`, data, weight, style: "normal" });
    }
  }
  const unicode = JSON.parse(await readFile(path.join(/* turbopackIgnore: true */ folder(), "unicode.json"), "utf8")) as Record<
    string,
    string
  >;
  const ranges = subsets.flatMap((subset) => readRanges(unicode[subset] ?? ""));
  const known = (character: string) => {
    const point = character.codePointAt(0) ?? 0;
    return point >= 0x20 && ranges.some(([from, to]) => point >= from && point <= to);
  };
  return {
    fonts,
    family: subsets.map((subset) => `Inter ${subset}`).join(", "),
    printable: (text) => [...text.replace(/\s+/g, " ")].filter(known).join("").replace(/ +/g, " ").trim(),
  };
}

let loading: Promise<CardFonts> | undefined;

/** Read once a process; a failed reading is tried again. */
export function cardFonts(): Promise<CardFonts> {
  loading ??= load().catch((error: unknown) => {
    loading = undefined;
    throw error;
  });
  return loading;
}
