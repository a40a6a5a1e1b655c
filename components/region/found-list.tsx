"use client";
import Link from "next/link";
import { memo, useMemo } from "react";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { formatNoun, formatScore, inPrint } from "@/lib/core/format";
import { maximum } from "@/lib/core/heat";
import type { Region } from "@/lib/core/region";
import { routes } from "@/lib/core/routes";
import { type SparseMap, toDense } from "@/lib/core/sparse-map";
import { RegionOutline } from "./region-outline";

/** A picture on which some of the features fire in the region. */
export interface Found {
  /** SHA-256. */
  image: string;
  caption: string | null;
  score: number;
  features: readonly { index: number; rows: number; cols: number; peak: number; map: SparseMap }[];
}

interface FoundListProps {
  items: readonly Found[];
  dictionary: string;
  /** How many features were asked for. */
  count: number;
  region: Region;
  /** The region's, for addresses; empty where none can hold it. */
  code: string;
  /** Each feature's maximum over the catalogue, raw activation. */
  maximumOf: (index: number) => number | null;
}

interface Heat {
  rows: number;
  cols: number;
  sum: Float32Array;
}

/** The features' share of their maxima, summed cell by cell over those asked for: 1 where all are at theirs. */
function together({ features }: Found, count: number, maximumOf: FoundListProps["maximumOf"]): Heat {
  const { rows, cols } = features[0] ?? { rows: 1, cols: 1 };
  const sum = new Float32Array(rows * cols);
  for (const feature of features) {
    if (feature.rows !== rows || feature.cols !== cols) continue;
    const unit = Math.max(maximumOf(feature.index) ?? 0, feature.peak) * count;
    toDense(feature.map, rows, cols).forEach((value, cell) => {
      sum[cell] = (sum[cell] as number) + value / unit;
    });
  }
  return { rows, cols, sum };
}

/** Pictures with the heat of all features together, on one scale. */
export function FoundList({ items, maximumOf, count, ...rest }: FoundListProps) {
  const heats = useMemo(() => items.map((item) => together(item, count, maximumOf)), [items, count, maximumOf]);
  const most = useMemo(() => Math.max(...heats.map(({ sum }) => maximum(sum))) || 1, [heats]);
  return (
    <ul className="mt-3 grid grid-cols-2 gap-3 sm:grid-cols-4">
      {items.map((item, i) => (
        <FoundPicture key={item.image} item={item} heat={heats[i] as Heat} most={most} count={count} {...rest} />
      ))}
    </ul>
  );
}

interface FoundPictureProps extends Omit<FoundListProps, "items" | "maximumOf"> {
  item: Found;
  heat: Heat;
  /** The hottest cell of all pictures. */
  most: number;
}

const FoundPicture = memo(function FoundPicture({
  item,
  heat: { rows, cols, sum },
  most,
  count,
  dictionary,
  region,
  code,
}: FoundPictureProps) {
  const caption = inPrint(item.caption) ?? `Picture ${item.image.slice(0, 12)}`;
  return (
    <li>
      <Link
        href={routes.image(item.image, { dictionary, region: code })}
        prefetch={false}
        className="block rounded-md hover:bg-sunken"
        aria-label={`${caption}: ${item.features.length} of ${formatNoun(count, "feature")}, ${formatScore(item.score)} of their maxima`}
      >
        <HeatmapCanvas
          src={routes.api.image(item.image)}
          alt=""
          map={sum}
          rows={rows}
          cols={cols}
          max={most}
          opacity={0.65}
          size={200}
          className="overflow-hidden rounded-md"
        >
          <RegionOutline region={region} fill={false} className="opacity-70" />
        </HeatmapCanvas>
        <span className="block px-1 py-1 text-sm">
          <span dir="auto" className="line-clamp-2">
            {caption}
          </span>
          <span className="num text-muted">
            {item.features.length} of {count} · {formatScore(item.score)}
          </span>
        </span>
      </Link>
    </li>
  );
});
