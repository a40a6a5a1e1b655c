/** The fonts of cards, from this project's own packages: a card is the same on every machine, and nobody is asked for a glyph. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";

/** A font as satori takes it. */
export interface CardFont {
  name: string;
  data: Buffer;
  weight: 400 | 600;
  style: "normal";
}

/** Part of a font, with the code points that it has. */
interface Piece {
  file(weight: 400 | 600): string;
  ranges: readonly (readonly [number, number])[];
  /** One file for both weights; satori widens its strokes for the heavier. */
  oneWeight: boolean;
}

const packages = () => path.join(/* turbopackIgnore: true */ env.root, "node_modules");

/** The font whose pieces are always loaded: the first has the figures and signs. */
const inter = ["latin", "latin-ext", "greek", "cyrillic", "vietnamese", "greek-ext", "cyrillic-ext"] as const;
/** Scripts that have a font of their own. */
const scripts = ["arabic", "hebrew", "devanagari", "bengali", "tamil", "thai"] as const;
/** Fonts in a hundred pieces each. The variable ones weigh a tenth of those with fixed weights; satori draws them at their thinnest. */
const eastAsian = ["sc", "jp", "kr"] as const;

/** `U+0000-00FF,U+0131` → ranges of code points. */
function readRanges(text: string): [number, number][] {
  return text.split(",").map((part) => {
    const [from = "", to = from] = part.replace("U+", "").split("-");
    return [Number.parseInt(from, 16), Number.parseInt(to, 16)];
  });
}

async function rangesOf(folder: string): Promise<Record<string, string>> {
  const text = await readFile(path.join(/* turbopackIgnore: true */ packages(), folder, "unicode.json"), "utf8");
  return JSON.parse(text) as Record<string, string>;
}

async function fixedPieces(name: string, subsets: readonly string[]): Promise<Piece[]> {
  const folder = `@fontsource/${name}`;
  const unicode = await rangesOf(folder);
  return subsets.map((subset) => ({
    file: (weight) => `${folder}/files/${name}-${subset}-${weight}-normal.woff`,
    ranges: readRanges(unicode[subset] ?? ""),
    oneWeight: false,
  }));
}

async function numberedPieces(name: string): Promise<Piece[]> {
  const folder = `@fontsource-variable/${name}`;
  const pieces: Piece[] = [];
  for (const [subset, ranges] of Object.entries(await rangesOf(folder))) {
    const [, number] = /^\[(\d+)\]$/.exec(subset) ?? [];
    if (!number) continue;
    pieces.push({ file: () => `${folder}/files/${name}-${number}-wght-normal.woff2`, ranges: readRanges(ranges), oneWeight: true });
  }
  return pieces;
}

/** Unifont has every character of the basic plane, as dots: coarse, but there. */
const unifont: Piece = {
  file: () => "@fontsource/unifont/files/unifont-latin-400-normal.woff",
  ranges: [[0x20, 0xffff]],
  oneWeight: true,
};
const unassigned = /\p{C}/u;

interface Index {
  inter: Piece[];
  scripts: Piece[];
  eastAsian: Record<(typeof eastAsian)[number], Piece[]>;
}

async function readIndex(): Promise<Index> {
  const [sc, jp, kr] = await Promise.all(eastAsian.map((region) => numberedPieces(`noto-sans-${region}`)));
  return {
    inter: await fixedPieces("inter", inter),
    scripts: (await Promise.all(scripts.map((script) => fixedPieces(`noto-sans-${script}`, [script])))).flat(),
    eastAsian: { sc: sc ?? [], jp: jp ?? [], kr: kr ?? [] },
  };
}

/** Read once a process; a failed reading is tried again. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => {
    reading ??= read().catch((error: unknown) => {
      reading = undefined;
      throw error;
    });
    return reading;
  };
}
const index = once(readIndex);

/** Letters that are drawn in strokes too thin to be read small, unless they are widened: see `eastAsian`. */
export const thin = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
const kana = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const nameOf = (piece: Piece) => piece.file(400).replace(/^.*\//, "").replaceAll(".", "-");
const has = ({ ranges }: Piece, point: number) => ranges.some(([from, to]) => point >= from && point <= to);

/** Pieces in the order in which a letter is looked for in them: a Han letter is Japanese where kana stand beside it. */
function inOrder({ inter, scripts, eastAsian }: Index, text: string): Piece[] {
  const { sc, jp, kr } = eastAsian;
  return [...inter, ...scripts, ...(kana.test(text) ? [...jp, ...sc] : [...sc, ...jp]), ...kr];
}

/** Whether a font has this code point, Unifont being the last that is asked. */
export async function isKnown(point: number): Promise<boolean> {
  const { inter, scripts, eastAsian } = await index();
  const pieces = [inter, scripts, eastAsian.sc, eastAsian.jp, eastAsian.kr];
  if (pieces.some((some) => some.some((piece) => has(piece, point)))) return true;
  return has(unifont, point) && !unassigned.test(String.fromCodePoint(point));
}

const files = new Map<string, Promise<Buffer>>();
function fileOf(name: string): Promise<Buffer> {
  const read = files.get(name) ?? readFile(path.join(/* turbopackIgnore: true */ packages(), name));
  files.set(name, read);
  read.catch(() => files.delete(name));
  return read;
}

export interface CardFonts {
  fonts: CardFont[];
  family: string;
}

async function fontsOf(pieces: readonly Piece[]): Promise<CardFonts> {
  const fonts: CardFont[] = [];
  for (const piece of pieces) {
    const name = nameOf(piece);
    for (const weight of piece.oneWeight ? ([400] as const) : ([400, 600] as const)) {
      fonts.push({ name, data: await fileOf(piece.file(weight)), weight, style: "normal" });
    }
  }
  return { fonts, family: pieces.map(nameOf).join(", ") };
}

/** Satori keeps what it read of a list of fonts while it is given the same list. */
const lists = new Map<string, Promise<CardFonts>>();
const keptLists = 16;

/** The fonts that a text needs: Inter, and of the others the pieces that have a letter of it. */
export async function cardFonts(text: string): Promise<CardFonts> {
  const all = await index();
  const order = inOrder(all, text);
  const wanted = new Set<Piece>(all.inter);
  for (const letter of new Set(text)) {
    const point = letter.codePointAt(0) ?? 0;
    if (point >= 0x20) wanted.add(order.find((piece) => has(piece, point)) ?? unifont);
  }
  const pieces = [...order, unifont].filter((piece) => wanted.has(piece));
  const key = pieces.map(nameOf).join();
  const list = lists.get(key) ?? fontsOf(pieces);
  // The latest last: the first is the one to go.
  lists.delete(key);
  lists.set(key, list);
  list.catch(() => lists.delete(key));
  for (const old of lists.keys()) {
    if (lists.size <= keptLists) break;
    lists.delete(old);
  }
  return list;
}
