/** Which lists leave the pictures' place out. */
import type { FeatureQuery } from "@/lib/core/feature-query";
import type { FeaturePages } from "./use-feature-pages";

interface ListFacts {
  pages: Pick<FeaturePages, "items" | "total">;
  query: Pick<FeatureQuery, "flags" | "limit">;
  /** Whether any feature of the dictionary has an example. */
  illustrated: boolean;
}

/**
 * Whether no feature of a list has a picture or a text, so that boxes without any would say so forty times. Told by what does not change while the
 * list grows, since its rows would change their height under the reader: of a list that is longer than a page it is not asked what came so far.
 */
export function isBareList({ pages: { items, total }, query, illustrated }: ListFacts): boolean {
  if (!illustrated || query.flags.dead) return true;
  const whole = total !== null && total <= query.limit;
  return whole && items.length > 0 && items.every(({ top, text }) => top.length === 0 && text === null);
}
