import { createHash } from "node:crypto";
import type { Database } from "@/lib/catalog/db";
import { findImage } from "@/lib/catalog/images";
import { dataUrlBytes, decodeImage } from "@/lib/engine/decode-image";
import type { ResolveImage } from "@/lib/engine/engine";

/** Pictures of requests: the catalogue's by their hash, others by their bytes. */
export function imageResolver(db: Database): ResolveImage {
  return async (image) => {
    const bytes = "sha256" in image ? (await findImage(db, image.sha256)).bytes : dataUrlBytes(image.dataUrl);
    return { ...(await decodeImage(bytes)), sha256: createHash("sha256").update(bytes).digest("hex") };
  };
}
