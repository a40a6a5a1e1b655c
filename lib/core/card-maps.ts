/** The maps on cards: as many of each feature's top examples as a page may weigh. */

/** Most examples on a card. */
export const mostOnCard = 5;

/**
 * Compressed bytes of maps that a page may carry. The API's 50 cards stay below 60 kB with the cards themselves (3 to 6 kB); the fewer cards
 * of a page that the server draws leave room for its markup.
 */
const budgetBytes = (cards: number) => Math.min(52_000, 1_300 * cards);

/** An example of a card. */
export interface CardExample {
  /** The feature's. */
  index: number;
  /** Among the feature's own, the strongest 0. */
  rank: number;
  /** Bytes of its positions, and as many of its values. */
  bytes: number;
}

/** What an example weighs compressed, measured: values and positions shrink little, an image's hash to its 32 bytes. */
const weight = ({ bytes }: CardExample) => 0.9 * bytes + 0.45 * bytes + 38;

/**
 * Which of the top examples of a page's features its cards carry: every card's first, then second and so on, the lighter ones of a rank before
 * the heavier. In order of rank.
 * @param cards how many cards the page has
 */
export function affordable<E extends CardExample>(examples: readonly E[], cards: number): Set<E> {
  const budget = budgetBytes(cards);
  const taken = new Set<E>();
  const depth = new Map<number, number>();
  let spent = 0;
  for (let rank = 0; rank < mostOnCard; rank++) {
    const level = examples.filter((one) => one.rank === rank).sort((a, b) => weight(a) - weight(b) || a.index - b.index);
    for (const one of level) {
      // A card's maps have no gap: the third is not shown where the second was too heavy.
      if ((depth.get(one.index) ?? 0) !== rank || (rank > 0 && spent + weight(one) > budget)) continue;
      spent += weight(one);
      depth.set(one.index, rank + 1);
      taken.add(one);
    }
  }
  return taken;
}
