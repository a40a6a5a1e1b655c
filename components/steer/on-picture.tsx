"use client";
import { useQuery } from "@tanstack/react-query";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { formatNoun, formatPercent } from "@/lib/core/format";
import type { ImageRef } from "@/lib/core/protocol";
import { decodeMap } from "@/lib/core/sparse-map";

/** All features of a picture that the API gives at once: what the search box, the cells and the cards share. */
export const pictureFeatures = (dictionary: string, image: ImageRef) => analyseQueryOptions({ dictionary, image, limit: 512 });

/** Whether a feature fires on the request's picture at all: what is inactive cannot be removed or multiplied. */
export function OnPicture({ dictionary, feature, image }: { dictionary: string; feature: number; image: ImageRef }) {
  const { data } = useQuery(pictureFeatures(dictionary, image));
  // Only a whole list can say that a feature is absent.
  if (data?.source !== "engine") return null;
  const found = data.features.find(({ index }) => index === feature);
  if (!found) {
    return data.features.length < data.total ? null : (
      <p className="mt-2 text-sm text-warn">Inactive on this picture: nothing to change there.</p>
    );
  }
  const cells = decodeMap(found.map).positions.length;
  const share = found.maxActivation ? `, up to ${formatPercent(found.peak / found.maxActivation)} of its maximum` : "";
  return (
    <p className="mt-2 text-muted text-sm">
      Active on {formatNoun(cells, "cell")} of this picture{share}.
    </p>
  );
}
