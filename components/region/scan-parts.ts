"use client";
/** Where a scan's pictures and its model come from: the catalogue's list, and the engine in this tab or the server's. */
import type { QueryClient } from "@tanstack/react-query";
import { engineOf } from "@/components/local-engine/engine-of";
import { failedInTab } from "@/components/local-engine/in-tab";
import type { Where } from "@/components/local-engine/use-where";
import { cataloguePicture, pictureFor } from "@/components/own-image/use-picture";
import { fetchAnalysis } from "@/lib/api/analyse";
import { allImagesQueryOptions } from "@/lib/api/images";
import { FacetError } from "@/lib/core/errors";
import { SessionCodes } from "@/lib/core/picture-codes";
import { limits } from "@/lib/core/protocol";
import type { Dictionary } from "@/lib/core/records";
import { decodeMap } from "@/lib/core/sparse-map";
import type { Look, ScanParts } from "./region-scan";

/** Of what is kept for other regions: 4,200 pictures of the embedded model take a fifth of it. */
export const keptLimit = 256_000_000;

/** What was found on pictures, while the document lives. */
const session = new SessionCodes(keptLimit);

/** More than any picture's: a tab has no answer to keep small. */
const all = 1_000_000;

async function tabLook(client: QueryClient, ref: string, signal: AbortSignal): Promise<Look> {
  try {
    const { engine } = await engineOf(client, ref, signal);
    let ahead: { sha256: string; picture: ReturnType<typeof pictureFor> } | null = null;
    return async (sha256, next, signal) => {
      const { hash, blob } = await (ahead?.sha256 === sha256 ? ahead.picture : pictureFor(cataloguePicture(sha256), signal));
      // The next one's bytes come while the model looks at this one.
      ahead = next === null ? null : { sha256: next, picture: pictureFor(cataloguePicture(next), signal) };
      ahead?.picture.catch(() => {});
      try {
        return await engine.features({ dictionary: ref, image: { sha256: hash }, limit: all }, new Map([[hash, blob]]), signal);
      } catch (thrown) {
        throw failedInTab(thrown);
      }
    };
  } catch (thrown) {
    throw failedInTab(thrown);
  }
}

/** One picture at a time, so that others who ask the same engine wait for one at most. */
function serverLook(ref: string): Look {
  return async (sha256, _next, signal) => {
    const { source, rows, cols, total, features } = await fetchAnalysis(
      { dictionary: ref, image: { sha256 }, limit: limits.analysed },
      signal,
    );
    if (source !== "engine") throw new FacetError("engine_unavailable", `This server has no engine for ${ref} any more.`);
    return { rows, cols, total, features: features.map(({ index, map }) => ({ index, map: decodeMap(map) })) };
  };
}

export function scanParts(client: QueryClient, { ref, sha256, model }: Dictionary, where: Where): ScanParts {
  const codes = () => session.open(`${model.sha256 ?? model.id} ${sha256}`);
  return {
    open: async () => ({ pictures: await client.fetchQuery(allImagesQueryOptions()), codes: codes() }),
    kept: () => codes().size > 0,
    engine: async (signal) => (where === "tab" ? await tabLook(client, ref, signal) : serverLook(ref)),
  };
}
