/** Emoji on cards: Noto's drawings, from this project's own packages. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { env } from "@/lib/env";
import { sharp } from "@/lib/sharp";

const folder = () => path.join(/* turbopackIgnore: true */ env.root, "node_modules", "@iconify-json", "noto");
/** Drawn once and fitted to any text of a card. */
const side = 96;

/** Shown as a picture by itself, or asked to be by what follows it. */
const pictured = /\p{Emoji_Presentation}|\p{Emoji}\uFE0F|\u20E3/u;
export const isEmoji = (grapheme: string): boolean => pictured.test(grapheme);

/** Code points as the package names them: in hexadecimal, without the sign that asks for a picture. */
const keyOf = (grapheme: string) =>
  [...grapheme]
    .map((letter) => (letter.codePointAt(0) ?? 0).toString(16).padStart(4, "0"))
    .filter((point) => point !== "fe0f")
    .join("-");

let names: Promise<Record<string, string>> | undefined;
function readNames(): Promise<Record<string, string>> {
  names ??= readFile(path.join(/* turbopackIgnore: true */ folder(), "chars.json"), "utf8").then(
    (text) => JSON.parse(text) as Record<string, string>,
  );
  names.catch(() => {
    names = undefined;
  });
  return names;
}

/** What the package calls an emoji, or the one without its variations (a colour of skin, a profession); null where it has none. */
async function nameOf(grapheme: string): Promise<string | null> {
  const known = await readNames();
  return known[keyOf(grapheme)] ?? known[keyOf([...grapheme][0] ?? "")] ?? null;
}

export const hasEmoji = async (grapheme: string): Promise<boolean> => (await nameOf(grapheme)) !== null;

interface Icons {
  icons: Record<string, { body: string; width?: number; height?: number }>;
  aliases?: Record<string, { parent: string }>;
  width?: number;
  height?: number;
}

/** Emoji drawn so far; the package is 25 MB of text, too much to be kept for the few that cards show. */
const drawn = new Map<string, string>();
const keptEmoji = 256;

/** A PNG as a data URL for each of the graphemes that has a drawing. */
export async function emojiImages(graphemes: readonly string[]): Promise<Record<string, string>> {
  const named = new Map<string, string>();
  for (const grapheme of new Set(graphemes)) {
    const name = await nameOf(grapheme);
    if (name) named.set(grapheme, name);
  }
  const missing = [...new Set(named.values())].filter((name) => !drawn.has(name));
  if (missing.length > 0) {
    const all = JSON.parse(await readFile(path.join(/* turbopackIgnore: true */ folder(), "icons.json"), "utf8")) as Icons;
    for (const name of missing) {
      const icon = all.icons[name] ?? all.icons[all.aliases?.[name]?.parent ?? ""];
      if (!icon) continue;
      const size = `0 0 ${icon.width ?? all.width ?? 16} ${icon.height ?? all.height ?? 16}`;
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${side}" height="${side}" viewBox="${size}">${icon.body}</svg>`;
      const png = await sharp(Buffer.from(svg)).png().toBuffer();
      drawn.set(name, `data:image/png;base64,${png.toString("base64")}`);
    }
  }
  const images: Record<string, string> = {};
  for (const [grapheme, name] of named) {
    const image = drawn.get(name);
    if (image) images[grapheme] = image;
  }
  for (const old of drawn.keys()) {
    if (drawn.size <= keptEmoji) break;
    drawn.delete(old);
  }
  return images;
}
