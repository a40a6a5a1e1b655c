import { analyseImage } from "@/app/api/analyse/analyse-image";
import type { Database } from "@/lib/catalog/db";
import { storedActivations } from "@/lib/catalog/images";
import { analyseRequestSchema } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";

/** A warm engine looks at a picture in less; a page should not wait longer for a cold one. */
const patienceMs = 400;

export interface FirstAnalysis {
  /** What fires, when the engine answered in time. */
  analysis: Analysis | null;
  /** Else what the catalogue stored, for the case that the engine never answers. */
  stored: Analysis | null;
}

/** What the picture's page is first drawn with. The engine's failures are not the page's: the browser asks again and shows them. */
export async function firstAnalysis(db: Database, dictionary: string, sha256: string): Promise<FirstAnalysis> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), patienceMs);
  const late = new Promise<null>((resolve) => controller.signal.addEventListener("abort", () => resolve(null)));
  const request = analyseRequestSchema.parse({ dictionary, image: { sha256 } });
  const analysis = await Promise.race([analyseImage(db, request, controller.signal).catch(() => null), late]);
  clearTimeout(timer);
  return { analysis, stored: analysis ? null : await storedActivations(db, dictionary, sha256).catch(() => null) };
}
