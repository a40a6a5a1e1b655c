import { createHash } from "node:crypto";
import { withEtag } from "./_lib/handler";

/** Cards drawn last, by what they show: an unfurled link is asked for by many at once. */
const kept = new Map<string, Promise<Uint8Array>>();
const keptCards = 64;

/** A card as an answer, drawn where it was not lately. `key` names everything that it shows. */
export async function drawn(request: Request, key: string, draw: () => Promise<Uint8Array>): Promise<Response> {
  let card = kept.get(key);
  if (!card) {
    card = draw();
    kept.set(key, card);
    card.catch(() => kept.delete(key));
    for (const old of kept.keys()) {
      if (kept.size <= keptCards) break;
      kept.delete(old);
    }
  }
  const bytes = await card;
  return withEtag(request, bytes, `"${createHash("sha256").update(bytes).digest("base64url").slice(0, 27)}"`, {
    "Content-Type": "image/png",
    "Cache-Control": "public, max-age=3600",
  });
}
