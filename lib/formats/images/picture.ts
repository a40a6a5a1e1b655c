/**
 * Picture files as people have them → pixels as the model is given them, the same for uploads and for imports: turned as EXIF says,
 * transparency laid on white, RGB with 8 bits a channel, an animation's first frame. Colours are not managed, as Pillow does not, by which models are
 * trained: a profile in the file is not applied.
 */
import { FacetError } from "@/lib/core/errors";
import type { RgbImage } from "@/lib/core/preprocess";
import { sharp } from "@/lib/sharp";

/** Beyond this a small file could unpack into all of the memory. */
export const maxPixels = 50_000_000;
/** Up to this a picture that can be read row by row is kept shrunk, so that its longer side has `shrunkSide` pixels. */
const maxShrunkPixels = 1_000_000_000;
const shrunkSide = 4_096;

/** What the first bytes say that the file is; names as a person knows them. */
export function sniffImage(bytes: Uint8Array): "PNG" | "JPEG" | "WebP" | "GIF" | "SVG" | "HEIC" | "AVIF" | "TIFF" | "BMP" | null {
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes[0] === 0x89 && ascii(1, 4) === "PNG") return "PNG";
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "JPEG";
  if (ascii(0, 4) === "RIFF" && ascii(8, 12) === "WEBP") return "WebP";
  if (ascii(0, 4) === "GIF8") return "GIF";
  if (ascii(4, 8) === "ftyp") return ascii(8, 11) === "avi" ? "AVIF" : "HEIC";
  if (ascii(0, 4) === "II*\0" || ascii(0, 4) === "MM\0*") return "TIFF";
  if (ascii(0, 2) === "BM") return "BMP";
  if (/^(\ufeff|ï»¿)?\s*<(\?xml|!--|!doctype svg|svg)/i.test(ascii(0, 256))) return "SVG";
  return null;
}

const mimes = { PNG: "image/png", JPEG: "image/jpeg", WebP: "image/webp" } as const;
type Kind = "PNG" | "JPEG" | "WebP" | "GIF";

export interface OpenedPicture {
  kind: Kind;
  /** Upright. */
  width: number;
  height: number;
  /** What was done to it, in words; empty where the file is shown as it is. */
  changes: string[];
  /** The pixels as the model is given them, to be written in whatever form. */
  pixels(): Promise<ReturnType<typeof sharp>>;
}

function tooManyPixels(width?: number, height?: number): FacetError {
  const size = width && height ? `${width} × ${height} pixels` : "more pixels than Facet takes";
  return new FacetError("too_large", `The picture has ${size}; at most ${maxPixels / 1e6} million are read.`, {
    fix: "Send a smaller picture.",
  });
}

function damaged(kind: Kind, cause: unknown): FacetError {
  if (cause instanceof FacetError) return cause;
  if (cause instanceof Error && /pixel limit/i.test(cause.message)) return tooManyPixels();
  return new FacetError("unreadable_image", `The ${kind} file is damaged or incomplete.`, { cause });
}

interface Header extends Omit<OpenedPicture, "pixels"> {
  /** As the file has them, before it is turned. */
  stored: { width: number; height: number; orientation: number };
  cmyk: boolean;
  /** Whether a row can be had without the rest: a plain PNG or JPEG. */
  rowByRow: boolean;
}

/** Reads a picture's header, however large it is. Throws `unsupported_image` or `unreadable_image`. */
async function readHeader(bytes: Uint8Array): Promise<Header> {
  const kind = sniffImage(bytes);
  if (kind === null) {
    const what = bytes.byteLength === 0 ? "The file is empty." : "The file is not a picture in a format that Facet knows.";
    throw new FacetError("unreadable_image", what);
  }
  if (kind !== "PNG" && kind !== "JPEG" && kind !== "WebP" && kind !== "GIF") {
    throw new FacetError("unsupported_image", `Facet does not read ${kind} pictures.`);
  }
  // The header alone, which says how large it is whatever that is.
  const header = sharp(bytes, { failOn: "error", limitInputPixels: false, autoOrient: true });
  const metadata = await header.metadata().catch((cause: unknown) => {
    throw damaged(kind, cause);
  });
  const { width, height } = metadata.autoOrient;
  // Of an animation sharp counts one frame.
  const changes: string[] = [];
  if ((metadata.orientation ?? 1) > 1) changes.push("turned as its EXIF says");
  if ((metadata.pages ?? 1) > 1) changes.push(`the first of ${metadata.pages} frames`);
  const cmyk = metadata.space === "cmyk";
  if (cmyk) changes.push("from CMYK to sRGB");
  if (metadata.depth !== "uchar") changes.push("from 16 bits a channel to 8");
  if (metadata.hasAlpha) changes.push("transparency laid on white");
  return {
    kind,
    width,
    height,
    changes,
    cmyk,
    stored: { width: metadata.width, height: metadata.height, orientation: metadata.orientation ?? 1 },
    rowByRow: (kind === "PNG" || kind === "JPEG") && metadata.isProgressive !== true,
  };
}

/** RGB on white; of inks the light that they leave, (255 − C)·(255 − K) / 255, as Pillow and browsers have it without a profile. */
async function likeModel(picture: ReturnType<typeof sharp>, cmyk: boolean): Promise<ReturnType<typeof sharp>> {
  if (!cmyk) return picture.flatten({ background: "#fff" }).toColourspace("srgb");
  const inks = picture.pipelineColourspace("cmyk").toColourspace("cmyk").raw();
  const { data, info } = await inks.toBuffer({ resolveWithObject: true });
  const { width, height } = info;
  const rgb = Buffer.alloc(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4) {
    const light = 255 - (data[from + 3] as number);
    for (let channel = 0; channel < 3; channel++) rgb[to++] = Math.round(((255 - (data[from + channel] as number)) * light) / 255);
  }
  return sharp(rgb, { raw: { width, height, channels: 3 } });
}

function opened(bytes: Uint8Array, { kind, width, height, changes, cmyk }: Header): OpenedPicture {
  if (width * height > maxPixels) throw tooManyPixels(width, height);
  const picture = sharp(bytes, { failOn: "error", limitInputPixels: maxPixels, ignoreIcc: true, autoOrient: true, sequentialRead: true });
  return { kind, width, height, changes, pixels: () => likeModel(picture.clone(), cmyk) };
}

/** Opens a picture whose pixels fit in memory. Throws `unsupported_image`, `unreadable_image` or `too_large`. */
export async function openPicture(bytes: Uint8Array): Promise<OpenedPicture> {
  return opened(bytes, await readHeader(bytes));
}

/** Decodes PNG, JPEG, WebP and a GIF's first frame. Throws `unsupported_image`, `unreadable_image` (not whole) or `too_large`. */
export async function decodePicture(bytes: Uint8Array): Promise<RgbImage> {
  const picture = await openPicture(bytes);
  try {
    const { data, info } = await (await picture.pixels()).raw().toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`sharp gave ${info.channels} channels`);
    return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  } catch (cause) {
    throw damaged(picture.kind, cause);
  }
}

export interface StoredPicture {
  bytes: Uint8Array;
  mime: "image/png" | "image/jpeg" | "image/webp";
  width: number;
  height: number;
  /** What was done to it, in words; empty where the bytes are the file's own. */
  changes: string[];
}

/** A picture of more pixels than memory is given, shrunk while it is read row by row. */
async function shrinkPicture(bytes: Uint8Array, { kind, width, height, changes, cmyk, stored }: Header): Promise<StoredPicture> {
  const scale = shrunkSide / Math.max(width, height);
  const side = (length: number) => Math.max(1, Math.round(length * scale));
  const rows = sharp(bytes, { failOn: "error", limitInputPixels: maxShrunkPixels, ignoreIcc: true, sequentialRead: true });
  // Turned when it is small: a turned picture's first row is the last of each.
  const small = await (await likeModel(rows.resize(side(stored.width), side(stored.height), { fit: "fill" }), cmyk))
    .withMetadata({ orientation: stored.orientation })
    .png({ compressionLevel: 1 })
    .toBuffer();
  const upright = sharp(small, { autoOrient: true });
  const jpeg = kind === "JPEG";
  const encoded = await (jpeg ? upright.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }) : upright.png()).toBuffer();
  return {
    bytes: new Uint8Array(encoded),
    mime: jpeg ? "image/jpeg" : "image/png",
    width: side(width),
    height: side(height),
    changes: [...changes, `shrunk from ${width} × ${height} pixels to ${side(width)} × ${side(height)}`],
  };
}

/**
 * A picture as the catalogue keeps it: the file's own bytes where a browser shows them exactly as the model saw them, else the pixels that
 * the model saw, written anew; of more than `maxPixels`, shrunk. Every pixel is decoded once, so that a damaged file is found. Throws as
 * `decodePicture`, `too_large` only where the whole would have to be in memory at once.
 */
export async function storePicture(bytes: Uint8Array): Promise<StoredPicture> {
  const header = await readHeader(bytes);
  const { kind, width, height, changes } = header;
  const large = width * height > maxPixels;
  if (large && !(header.rowByRow && width * height <= maxShrunkPixels)) throw tooManyPixels(width, height);
  try {
    if (large) return await shrinkPicture(bytes, header);
    const picture = opened(bytes, header);
    if (kind !== "GIF" && changes.length === 0) {
      // Streams through the whole file, row by row.
      await (await picture.pixels()).resize(1, 1, { fit: "fill", fastShrinkOnLoad: false }).raw().toBuffer();
      return { bytes, mime: mimes[kind], width, height, changes };
    }
    const anew = await picture.pixels();
    const mime = kind === "JPEG" ? "image/jpeg" : "image/png";
    const encoded = await (kind === "JPEG" ? anew.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }) : anew.png()).toBuffer();
    return { bytes: new Uint8Array(encoded), mime, width, height, changes: kind === "GIF" ? ["from GIF to PNG", ...changes] : changes };
  } catch (cause) {
    throw damaged(kind, cause);
  }
}
