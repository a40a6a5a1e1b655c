/**
 * WebP files that say by EXIF how they are to be turned. Chromium shows and decodes them as they are stored, unlike Pillow and the server: they are
 * drawn anew, upright, before a page shows them and a model sees them. All other kinds are turned by every browser.
 */
import { pictureSize } from "./picture-size";

interface Found {
  /** EXIF's number, 1 (as stored) to 8. */
  orientation: number;
  /** Where its two bytes lie in the file, and their order. */
  at: number;
  little: boolean;
}

/** What a WebP's EXIF says; null of other files, and of those that say nothing. */
export function webpOrientation(bytes: Uint8Array): Found | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ascii = (from: number, length: number) => String.fromCharCode(...bytes.subarray(from, from + length));
  if (ascii(0, 4) !== "RIFF" || ascii(8, 4) !== "WEBP") return null;
  try {
    for (let at = 12; at + 8 <= bytes.length; ) {
      const size = view.getUint32(at + 4, true);
      if (ascii(at, 4) === "EXIF") {
        const tiff = at + 8 + (ascii(at + 8, 4) === "Exif" ? 6 : 0);
        const little = ascii(tiff, 2) === "II";
        const entries = tiff + view.getUint32(tiff + 4, little);
        for (let i = 0; i < view.getUint16(entries, little); i++) {
          const entry = entries + 2 + 12 * i;
          if (view.getUint16(entry, little) !== 0x0112) continue;
          const orientation = view.getUint16(entry + 8, little);
          return orientation >= 1 && orientation <= 8 ? { orientation, at: entry + 8, little } : null;
        }
        return null;
      }
      // Chunks have even lengths.
      at += 8 + size + (size % 2);
    }
  } catch {
    // Shorter than it says.
  }
  return null;
}

/** From stored to upright, as a canvas takes it, of a picture w × h as stored. */
function turn(orientation: number, w: number, h: number): [number, number, number, number, number, number] {
  const turns: Record<number, [number, number, number, number, number, number]> = {
    2: [-1, 0, 0, 1, w, 0],
    3: [-1, 0, 0, -1, w, h],
    4: [1, 0, 0, -1, 0, h],
    5: [0, 1, 1, 0, 0, 0],
    6: [0, 1, -1, 0, h, 0],
    7: [0, -1, -1, 0, h, w],
    8: [0, -1, 1, 0, 0, w],
  };
  return turns[orientation] ?? [1, 0, 0, 1, 0, 0];
}

/** Beyond this it is left to those who refuse it in a sentence. */
const maxPixels = 50_000_000;

/** The picture as a PNG, upright; null where the file needs no turning, or cannot be read. */
export async function uprightWebp(file: Blob): Promise<Blob | null> {
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    const found = webpOrientation(bytes);
    const size = pictureSize(bytes);
    if (!found || found.orientation === 1 || !size || size.width * size.height > maxPixels) return null;
    // So that no browser turns it a second time.
    new DataView(bytes.buffer).setUint16(found.at, 1, found.little);
    const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/webp" }), { colorSpaceConversion: "none" });
    const { width, height } = bitmap;
    const canvas = found.orientation < 5 ? new OffscreenCanvas(width, height) : new OffscreenCanvas(height, width);
    const context = canvas.getContext("2d");
    context?.setTransform(...turn(found.orientation, width, height));
    context?.drawImage(bitmap, 0, 0);
    bitmap.close();
    return context && (await canvas.convertToBlob({ type: "image/png" }));
  } catch {
    return null;
  }
}
