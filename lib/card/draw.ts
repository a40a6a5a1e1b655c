/** Cards: the pictures that stand for a page where a link to it is unfurled. Set by satori into paths, painted by sharp. */
import type { ReactNode } from "react";
import satori from "satori";
import { cardSize } from "@/lib/core/card";
import { heatRamp, interpolate, paint } from "@/lib/core/heat";
import type { SparseMap } from "@/lib/core/sparse-map";
import { toDense } from "@/lib/core/sparse-map";
import { sharp } from "@/lib/sharp";
import { emojiImages, isEmoji } from "./emoji";
import { cardFonts, thin } from "./fonts";
import { directionOf, graphemes } from "./words";

export const colours = {
  surface: "#fbfbfa",
  line: "#dededa",
  ink: "#1b1c1e",
  muted: "#5a5d63",
  accent: "#0b57a4",
  soft: "#e3edf8",
} as const;

type Style = Record<string, string | number>;
export interface Box {
  type: string;
  props: Record<string, unknown>;
}

/** A box of a card: satori's flex layout. */
export const box = (style: Style, ...children: (Box | string | null)[]): Box => ({
  type: "div",
  props: { style: { display: "flex", ...style }, children: children.filter((child) => child !== null) },
});

/** Strokes made wide enough to be read, where a font has them thin and the text is not heavy anyway. */
const widened = (words: string, { fontWeight, color = colours.ink }: Style): Style =>
  fontWeight !== 600 && thin.test(words) ? { WebkitTextStroke: `0.9px ${color}` } : {};

/** Text on so many lines at most. */
export const text = (words: string, lines: number, style: Style): Box => ({
  type: "div",
  props: {
    style: {
      display: "block",
      lineClamp: lines,
      wordBreak: "break-word",
      direction: directionOf(words),
      ...widened(words, style),
      ...style,
    },
    children: words,
  },
});

export interface Heat {
  map: SparseMap;
  rows: number;
  cols: number;
  max: number;
}

/** A picture as a square, fitted without stretching, under its heat where there is one. */
export async function pictureBox(bytes: Uint8Array, side: number, heat: Heat | null = null): Promise<Box> {
  const picture = sharp(bytes, { autoOrient: true }).resize(side, side, { fit: "inside" }).flatten({ background: "#fff" });
  const { data, info } = await picture.png().toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  let painted = data;
  if (heat) {
    const values = interpolate(toDense(heat.map, heat.rows, heat.cols), heat.rows, heat.cols, height, width);
    const pixels = new Uint8ClampedArray(width * height * 4);
    paint(values, heat.max, heatRamp("light"), pixels);
    const input = await sharp(Buffer.from(pixels.buffer), { raw: { width, height, channels: 4 } })
      .png()
      .toBuffer();
    painted = await sharp(data).composite([{ input }]).png().toBuffer();
  }
  return {
    type: "img",
    props: {
      src: `data:image/png;base64,${painted.toString("base64")}`,
      width,
      height,
      style: { width, height, borderRadius: 12 },
    },
  };
}

/** Room and round corners where a mark begins and where it ends. */
function ends(goesOn: boolean, goesFurther: boolean, direction: "ltr" | "rtl"): Style {
  const [left, right] = direction === "rtl" ? [goesFurther, goesOn] : [goesOn, goesFurther];
  const [l, r] = [left ? 0 : 6, right ? 0 : 6];
  return {
    padding: `0 ${r}px 0 ${l}px`,
    margin: `0 ${right ? 0 : -1}px 0 ${left ? 0 : -1}px`,
    borderRadius: `${l}px ${r}px ${r}px ${l}px`,
  };
}

/** Words in a row that breaks where it must; those that are marked stand out. */
export function markedText(words: readonly string[], marks: readonly boolean[] | null, style: Style): Box {
  const direction = directionOf(words.join(""));
  /** Whether a marked word goes on in the piece after it, as in scripts without spaces. */
  const joined = (i: number) => Boolean(marks?.[i] && marks[i + 1]) && i + 1 < words.length && !/^\s/.test(words[i + 1] as string);
  const pieces = words.map((word, i) => {
    const marked = marks?.[i] ?? false;
    // After the word and not before it, where it would stand at the beginning of a line.
    const spaced = /^\s/.test(words[i + 1] ?? "");
    const look: Style = marked
      ? { background: colours.soft, color: colours.accent, fontWeight: 600, ...ends(joined(i - 1), joined(i), direction) }
      : widened(word, {});
    const space = spaced ? "0.26em" : 0;
    return box(direction === "rtl" ? { marginLeft: space } : { marginRight: space }, box(look, word.trim()));
  });
  return box({ flexWrap: "wrap", overflow: "hidden", alignItems: "baseline", direction, ...style }, ...pieces);
}

const margin = 52;

/** The mark as the top bar has it, in the light theme's colours. */
const mark = `data:image/svg+xml;base64,${Buffer.from(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M16 2 28 9l-12 7L4 9z" fill="#0b57a4"/><path d="M16 16 28 9v14l-12 7z" fill="#b0461a"/><path d="M16 16v14L4 23V9z" fill="#8a2d6f"/></svg>',
).toString("base64")}`;

type Content = Box | string | null | undefined | Content[];

/** Every text in a box, one after another. */
function textIn(content: Content): string {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(textIn).join("\n");
  return textIn(content.props.children as Content);
}

/** The whole card as a PNG. Its texts are what `printable` gives. */
export async function drawCard(content: Box, foot: string): Promise<Uint8Array> {
  const words = `${textIn(content)}\n${foot}\nFacet`;
  const emoji = graphemes(words).filter(isEmoji);
  // What is drawn as a picture needs no letter.
  const { fonts, family } = await cardFonts(emoji.reduce((rest, one) => rest.replaceAll(one, ""), words));
  const { width, height } = cardSize;
  const inner = box(
    {
      // Satori adds padding to a width: what is inside is measured here.
      width: width - 2 * margin,
      height: height - 2 * margin,
      flexDirection: "column",
      justifyContent: "space-between",
      color: colours.ink,
      fontFamily: family,
      fontSize: 30,
      lineHeight: 1.3,
    },
    content,
    box(
      { justifyContent: "space-between", alignItems: "center", fontSize: 24, color: colours.muted },
      text(foot, 1, { maxWidth: 860 }),
      box(
        { alignItems: "center", fontWeight: 600, color: colours.ink },
        { type: "img", props: { src: mark, width: 28, height: 28, style: { marginRight: 10 } } },
        "Facet",
      ),
    ),
  );
  const frame = box({ width, height, alignItems: "center", justifyContent: "center", background: colours.surface }, inner);
  const svg = await satori(frame as unknown as ReactNode, { width, height, fonts, graphemeImages: await emojiImages(emoji) });
  return new Uint8Array(await sharp(Buffer.from(svg)).resize(width, height).png({ compressionLevel: 9 }).toBuffer());
}
