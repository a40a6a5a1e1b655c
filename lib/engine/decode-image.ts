/** Picture files → RGB pixels, upright and without transparency, as the model is given them. */

import { FacetError } from "@/lib/core/errors";
import type { RgbImage } from "@/lib/core/preprocess";
import { limits } from "@/lib/core/protocol";
import { sharp } from "@/lib/sharp";

/** Beyond this a small file could unpack into all of the memory. */
const maxPixels = 50_000_000;

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

const readable = ["PNG", "JPEG", "WebP", "GIF"];

/**
 * Decodes PNG, JPEG, WebP and a GIF's first frame; turned as its EXIF says; colours in sRGB; transparency laid on white. Throws
 * `unsupported_image`, `unreadable_image` (not whole) or `too_large`.
 */
export async function decodeImage(bytes: Uint8Array): Promise<RgbImage> {
  const kind = sniffImage(bytes);
  if (kind === null) throw new FacetError("unreadable_image", "The file is not a picture in a format that Facet knows.");
  if (!readable.includes(kind)) throw new FacetError("unsupported_image", `Facet does not read ${kind} pictures.`);
  try {
    const picture = sharp(bytes, { failOn: "error", limitInputPixels: maxPixels, autoOrient: true });
    const { width, height } = await picture.metadata();
    if (width * height > maxPixels) throw tooManyPixels(width, height);
    const { data, info } = await picture.flatten({ background: "#fff" }).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`sharp gave ${info.channels} channels`);
    return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
  } catch (cause) {
    if (cause instanceof FacetError) throw cause;
    if (cause instanceof Error && /pixel limit/i.test(cause.message)) throw tooManyPixels();
    throw new FacetError("unreadable_image", `The ${kind} file is damaged or incomplete.`, { cause });
  }
}

function tooManyPixels(width?: number, height?: number): FacetError {
  const size = width && height ? `${width} × ${height} pixels` : "more pixels than Facet takes";
  return new FacetError("too_large", `The picture has ${size}; at most ${maxPixels / 1e6} million are read.`, {
    fix: "Send a smaller picture.",
  });
}

/** The bytes in a `data:image/…;base64,` address. Throws `unreadable_image` or `too_large`. */
export function dataUrlBytes(dataUrl: string): Uint8Array {
  const comma = dataUrl.indexOf(",");
  const head = dataUrl.slice(0, Math.max(comma, 0));
  const body = dataUrl.slice(comma + 1);
  if (!head.endsWith(";base64") || !/^[A-Za-z0-9+/]*={0,2}$/.test(body) || body.length === 0) {
    throw new FacetError("unreadable_image", "The picture's data URL is not base64.");
  }
  const bytes = new Uint8Array(Buffer.from(body, "base64"));
  if (bytes.byteLength > limits.uploadBytes) {
    throw new FacetError("too_large", `The picture has more than ${limits.uploadBytes / 1024 / 1024} MB.`, {
      fix: "Send a smaller picture.",
    });
  }
  return bytes;
}
