/** In which order the features of a picture are listed, and why. Pure. */
import type { Firing, FiringGroup, FiringItem } from "@/components/image/firing";

export const rankings = ["rarity", "mean", "max"] as const;
export type Ranking = (typeof rankings)[number];

export const rankingNames: Record<Ranking, string> = { rarity: "Telling", mean: "Mean", max: "Strongest" };

export const rankingWords: Record<Ranking, string> = {
  rarity:
    "Mean activation over the picture, times how rarely the feature fires in the catalogue: ln(1 / density). What is everywhere counts for little.",
  mean: "Mean activation over all cells of the picture: large things and backgrounds come first.",
  max: "The strongest cell: small things count as much as large ones.",
};

/** How rarely a feature fires: ln(1 / density); of one that nobody counted, as of one in a million. */
function rarity(density: number | null): number {
  return Math.log(1 / Math.min(1, Math.max(density ?? 1e-6, 1e-6)));
}

export function rankValue(firing: Pick<Firing, "mean" | "peak" | "density">, ranking: Ranking): number {
  if (ranking === "mean") return firing.mean;
  return ranking === "max" ? firing.peak : firing.mean * rarity(firing.density);
}

/**
 * Two groups, of each the first `most` in its order: what tells something about the picture, then what fires nearly everywhere. With `cell`, what
 * fires there, by its activation there.
 */
export function rankFirings(
  firings: readonly Firing[],
  ranking: Ranking,
  cell: number | null,
  most = Number.POSITIVE_INFINITY,
): FiringGroup[] {
  const items = firings
    .map((feature): FiringItem => ({ feature, value: cell === null ? rankValue(feature, ranking) : (feature.dense[cell] ?? 0) }))
    .filter(({ feature, value }) => (cell === null ? feature.peak > 0 : value > 0))
    .sort((a, b) => b.value - a.value || a.feature.index - b.feature.index);
  const everywhere = ({ feature }: FiringItem) => feature.alwaysOn || feature.sink;
  const telling = items.filter((item) => !everywhere(item));
  const groups: FiringGroup[] = [
    { key: "low", name: cell === null ? "On this picture" : "In this cell", items: telling.slice(0, most) },
    { key: "always_on", name: "Always on", items: items.filter(everywhere).slice(0, most) },
  ];
  return groups.filter((group) => group.items.length > 0);
}
