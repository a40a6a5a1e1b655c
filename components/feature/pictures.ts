/** Which pictures and texts a feature page shows, in which order, on which scale. Pure. */
import { type Analysis, type Band, bands, type FeatureDetail, type ImageExample } from "@/lib/core/records";
import { decodeMap } from "@/lib/core/sparse-map";

/** `here`: the one picture that a link names and that is not among the stored examples. */
export const tabKeys = ["here", ...bands, "text"] as const;
export type TabKey = (typeof tabKeys)[number];

export interface PictureTab {
  key: TabKey;
  name: string;
  /** One line on how its examples were chosen. */
  explains: string;
  count: number;
}

const tabWords: Record<TabKey, { name: string; explains: string }> = {
  here: { name: "This picture", explains: "The picture of the link, looked at just now." },
  top: {
    name: "Top",
    explains:
      "The pictures on which it fires most, near-duplicates left out, as their source ranked them: the paper and the demo by the mean over the whole picture, so that the peaks below need not fall.",
  },
  upper: { name: "Upper", explains: "Pictures from the upper third of its activations." },
  middle: { name: "Middle", explains: "Pictures from the middle third of its activations." },
  lower: { name: "Lower", explains: "Pictures from the lower third of its activations." },
  random: { name: "Random", explains: "Pictures drawn at random from all on which it fires." },
  text: { name: "Text", explains: "Token strings on which it fires." },
};

export interface Examples {
  examples: Partial<Record<Band | "here", ImageExample[]>>;
  texts: FeatureDetail["texts"];
}

/**
 * The tabs in their fixed order, empty ones included, so that the row never moves; `here` only where there is one, and texts alone where no
 * picture was looked at: on a phone the one tab with something in it lay beyond the edge.
 */
export function pictureTabs(detail: Examples): PictureTab[] {
  const tabs = tabKeys
    .map((key) => ({ key, ...tabWords[key], count: key === "text" ? detail.texts.length : picturesOf(detail, key).length }))
    .filter((tab) => tab.key !== "here" || tab.count > 0);
  const filled = tabs.filter((tab) => tab.count > 0);
  return filled.length === 1 && filled[0]?.key === "text" ? filled : tabs;
}

/** One feature's map on an analysed picture as an example; null when it does not fire there. */
export function exampleFrom(analysis: Analysis, image: string, index: number): ImageExample | null {
  const found = analysis.features.find((feature) => feature.index === index);
  return found ? { image, rows: analysis.rows, cols: analysis.cols, peak: found.peak, mean: found.mean, map: found.map } : null;
}

export function picturesOf(detail: Examples, tab: TabKey): ImageExample[] {
  return tab === "text" ? [] : (detail.examples[tab] ?? []);
}

/** How an address names a picture: by enough digits among the stored ones, whole where it must be looked up. */
export function imageParam(tab: TabKey, picture: ImageExample): string {
  return tab === "here" ? picture.image : picture.image.slice(0, 12);
}

export interface Place {
  /** null when the feature has no example at all. */
  tab: TabKey | null;
  /** Position within the tab; 0 in the text tab. */
  position: number;
  /** A picture was asked for by its hash and is not among the stored examples. */
  missing: boolean;
}

/** Shortest prefix of a picture's hash that a link may carry. */
const prefixLength = 8;

/**
 * Finds what an address asks for. `image` is a SHA-256 or its first digits: looked for in `tab` first, then in every band. A tab without
 * examples falls back to the first that has some.
 */
export function locate(detail: Examples, asked: { tab: TabKey | null; image: string | null }): Place {
  const filled = pictureTabs(detail).filter((tab) => tab.count > 0);
  const wanted = filled.find((tab) => tab.key === asked.tab)?.key ?? null;
  const image = asked.image && asked.image.length >= prefixLength ? asked.image : null;
  if (image) {
    const order = wanted ? [wanted, ...filled.map((tab) => tab.key)] : filled.map((tab) => tab.key);
    for (const tab of order) {
      const position = picturesOf(detail, tab).findIndex((picture) => picture.image.startsWith(image));
      if (position >= 0) return { tab, position, missing: false };
    }
  }
  return { tab: wanted ?? filled[0]?.key ?? null, position: 0, missing: image !== null };
}

/** One activation scale for every picture of a feature, so that they can be compared: from 0 to this. Never 0. */
export function pictureScale(detail: Examples & { feature: { maxActivation: number | null } }): number {
  let largest = detail.feature.maxActivation ?? 0;
  for (const tab of tabKeys) for (const picture of picturesOf(detail, tab)) largest = Math.max(largest, picture.peak);
  return largest > 0 ? largest : 1;
}

/** Texts have their own scale: activations on words and on pictures may differ by an order of magnitude. Never 0. */
export function textScale(detail: Examples): number {
  const largest = detail.texts.reduce((most, text) => Math.max(most, text.peak), 0);
  return largest > 0 ? largest : 1;
}

/** Number of grid cells on which the feature is active. */
export function activeCells(picture: ImageExample): number {
  return decodeMap(picture.map).values.reduce((count, value) => count + (value > 0 ? 1 : 0), 0);
}

/** The row-major cell holding the largest activation; null for an empty map. */
export function peakCell(picture: Pick<ImageExample, "map">): number | null {
  const map = decodeMap(picture.map);
  let best: number | null = null;
  let most = 0;
  map.values.forEach((value, i) => {
    if (value > most) {
      most = value;
      best = map.positions[i] ?? null;
    }
  });
  return best;
}

const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/** The cell that a key leads to on a `rows × cols` grid, stopping at the edges; null when the key moves nothing. */
export function stepCell(cell: number, key: string, rows: number, cols: number): number | null {
  const row = Math.floor(cell / cols);
  const col = cell % cols;
  if (key === "Home") return row * cols;
  if (key === "End") return row * cols + cols - 1;
  const step = steps[key];
  if (!step) return null;
  const nextRow = Math.min(rows - 1, Math.max(0, row + step[0]));
  const nextCol = Math.min(cols - 1, Math.max(0, col + step[1]));
  return nextRow * cols + nextCol;
}
