/** A picture as a browser sends it. */
import { FacetError } from "@/lib/core/errors";
import type { RgbImage } from "@/lib/core/preprocess";
import { limits } from "@/lib/core/protocol";
import { decodePicture } from "@/lib/formats/images/picture";

/** The pixels of an upload, as an import would read them. Throws `unsupported_image`, `unreadable_image` (not whole) or `too_large`. */
export function decodeImage(bytes: Uint8Array): Promise<RgbImage> {
  return decodePicture(bytes);
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
