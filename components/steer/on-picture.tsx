"use client";
import { useQueries } from "@tanstack/react-query";
import { analyseQueryOptions } from "@/lib/api/analyse";
import { formatNoun, formatPercent } from "@/lib/core/format";
import type { ImageRef } from "@/lib/core/protocol";
import { decodeMap } from "@/lib/core/sparse-map";

/** All features of a picture that the API gives at once: what the search box, the cells and the cards share. */
export const pictureFeatures = (dictionary: string, image: ImageRef) => analyseQueryOptions({ dictionary, image, limit: 512 });

/** Whether a feature fires on the request's pictures at all: what is inactive cannot be removed or multiplied. */
export function OnPicture({ dictionary, feature, images }: { dictionary: string; feature: number; images: readonly ImageRef[] }) {
  const results = useQueries({ queries: images.map((image) => pictureFeatures(dictionary, image)) });
  // Only whole lists can say that a feature is absent.
  const analyses = results.flatMap(({ data }) => (data?.source === "engine" ? [data] : []));
  if (analyses.length < images.length) return null;
  const these = images.length === 1 ? "this picture" : "these pictures";
  const found = analyses.flatMap(({ features }) => features.filter(({ index }) => index === feature));
  if (found.length === 0) {
    return analyses.some(({ features, total }) => features.length < total) ? null : (
      <p className="mt-2 text-sm text-warn">Inactive on {these}: nothing to change there.</p>
    );
  }
  const cells = found.reduce((sum, { map }) => sum + decodeMap(map).positions.length, 0);
  const share = Math.max(...found.map(({ peak, maxActivation }) => (maxActivation ? peak / maxActivation : 0)));
  return (
    <p className="mt-2 text-muted text-sm">
      Active on {formatNoun(cells, "cell")} of {these}
      {share > 0 && `, up to ${formatPercent(share)} of its maximum`}.
    </p>
  );
}
