/**
 * Pictures in a tab → pixels as the server's engine is given them: turned as EXIF says, transparency laid on white, RGB with 8 bits a channel, an
 * animation's first frame. The browser's own decoder reads the file; a WebP's EXIF was heeded before (upright-webp.ts).
 */
import { FacetError } from "@/lib/core/errors";
import type { RgbImage } from "@/lib/core/preprocess";
import { pictureSize } from "./picture-size";

/** As on the server: beyond this a small file could unpack into all of the memory. */
const maxPixels = 50_000_000;

/** What a browser is given; the server reads no others either, so that both know the same pictures. */
const kinds = ["image/png", "image/jpeg", "image/webp", "image/gif"] as const;

/** What the first bytes say, whatever the file is called. */
export function sniff(bytes: Uint8Array): (typeof kinds)[number] | null {
  const ascii = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  if (bytes[0] === 0x89 && ascii(1, 4) === "PNG") return "image/png";
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "image/jpeg";
  if (ascii(0, 4) === "RIFF" && ascii(8, 12) === "WEBP") return "image/webp";
  return ascii(0, 4) === "GIF8" ? "image/gif" : null;
}

function tooLarge(width: number, height: number): FacetError {
  return new FacetError("too_large", `The picture has ${width} × ${height} pixels; at most ${maxPixels / 1e6} million are read.`, {
    fix: "Choose a smaller picture.",
  });
}

/**
 * Turned as EXIF says, and without colour management, as Pillow reads what models are trained on. Both are asked for by name; browsers that know no
 * such name refuse it as a wrong type.
 */
async function upright(blob: Blob): Promise<ImageBitmap> {
  try {
    return await createImageBitmap(blob, { imageOrientation: "from-image", colorSpaceConversion: "none" });
  } catch (error) {
    if (error instanceof TypeError) return await createImageBitmap(blob);
    throw error;
  }
}

/** Throws `unsupported_image`, `unreadable_image` or `too_large`. */
export async function decodeInTab(bytes: Uint8Array<ArrayBuffer>): Promise<RgbImage> {
  const type = sniff(bytes.subarray(0, 16));
  if (!type) throw new FacetError("unsupported_image", "The file is not a PNG, JPEG, WebP or GIF picture.");
  // Before it is unpacked.
  const told = pictureSize(bytes);
  if (told && told.width * told.height > maxPixels) throw tooLarge(told.width, told.height);
  let bitmap: ImageBitmap;
  try {
    bitmap = await upright(new Blob([bytes], { type }));
  } catch (cause) {
    throw new FacetError(
      "unreadable_image",
      "This browser cannot read the picture: it is damaged, or stored in a way that it does not know.",
      {
        fix: "Save it anew as a PNG or JPEG in RGB and try again.",
        cause,
      },
    );
  }
  const { width, height } = bitmap;
  try {
    // Where the head told no size, or another.
    if (width * height > maxPixels) throw tooLarge(width, height);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    if (!context)
      throw new FacetError("engine_out_of_memory", "This tab has not enough memory for the picture.", { fix: "Choose a smaller one." });
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    const { data: rgba } = context.getImageData(0, 0, width, height);
    const data = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; to < data.length; from += 4) {
      data[to++] = rgba[from] as number;
      data[to++] = rgba[from + 1] as number;
      data[to++] = rgba[from + 2] as number;
    }
    return { width, height, data };
  } finally {
    bitmap.close();
  }
}
