/** From a file that a person chose, pasted or dropped to a picture that can be sent: checked, turned upright and, where large, reduced. */
import { FacetError } from "@/lib/core/errors";
import { sha256 } from "@/lib/core/sha256";
import { uprightWebp } from "@/lib/engine/web/upright-webp";
import type { Upload } from "./upload-store";

/** Files beyond this are refused unread. */
const largestFile = 60 * 1024 * 1024;
/** Beyond either, a picture is drawn anew with this longest side: no model here looks closer. */
const largestSide = 1_536;
const largestSent = 1.5 * 1024 * 1024;
const sentAsIs = ["image/png", "image/jpeg", "image/webp"];

export interface PreparedUpload extends Upload {
  /** What was done to it, in words; null when its bytes are the file's. */
  changed: string | null;
}

function toDataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

/** Throws `too_large`, `unsupported_image` or `unreadable_image` with a sentence. */
export async function prepareUpload(given: Blob & { name?: string }): Promise<PreparedUpload> {
  const name = given.name || "pasted picture";
  let file: Blob = given;
  if (file.size > largestFile) {
    throw new FacetError("too_large", `“${name}” is ${Math.round(file.size / 1024 / 1024)} MB; pictures up to 60 MB can be read.`, {
      fix: "Choose a smaller picture.",
    });
  }
  if (file.type && !file.type.startsWith("image/")) {
    throw new FacetError("unsupported_image", `“${name}” is not a picture.`);
  }
  file = (await uprightWebp(file)) ?? file;
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch (cause) {
    throw new FacetError(
      "unreadable_image",
      `“${name}” cannot be read as a picture here: it is damaged, or of a kind this browser does not know.`,
      {
        fix: "Convert it to PNG, JPEG or WebP and try again.",
        cause,
      },
    );
  }
  const { width, height } = bitmap;
  const large = Math.max(width, height) > largestSide || file.size > largestSent;
  let blob: Blob = file;
  let changed: string | null = null;
  if (large || !sentAsIs.includes(file.type)) {
    const scale = Math.min(1, largestSide / Math.max(width, height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    const drawn = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, large ? "image/webp" : "image/png", 0.92));
    if (!drawn) throw new FacetError("unreadable_image", `“${name}” could not be drawn.`);
    blob = drawn;
    changed =
      scale < 1
        ? `Reduced from ${width} × ${height} to ${canvas.width} × ${canvas.height} pixels.`
        : `Converted to ${drawn.type.slice(6).toUpperCase()}.`;
  }
  bitmap.close();
  const bytes = new Uint8Array(await blob.arrayBuffer());
  return { sha256: await sha256(bytes), dataUrl: await toDataUrl(blob), name, addedAt: Date.now(), changed };
}

/** The pictures among what was pasted or dropped; where there is none, the first file, whose refusal says why. */
export function picturesIn(data: DataTransfer | null): File[] {
  const files = Array.from(data?.files ?? []);
  const pictures = files.filter((file) => file.type.startsWith("image/"));
  return pictures.length ? pictures : files.slice(0, 1);
}
