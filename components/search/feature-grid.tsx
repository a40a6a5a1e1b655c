"use client";
import { useCallback, useRef, useState } from "react";
import { cn } from "@/components/ui/cn";
import { Skeleton } from "@/components/ui/skeleton";
import type { FeatureCard as Card, Dictionary } from "@/lib/core/records";
import { FeatureCard } from "./feature-card";
import { pageSize } from "./list-url";
import type { FeaturePages } from "./use-feature-pages";
import { useListKeys } from "./use-list-keys";
import { usePlace } from "./use-place";
import { useBrowserLayoutEffect, useWindowRows } from "./use-window-rows";

export interface FeatureListProps {
  pages: FeaturePages;
  dictionary: Pick<Dictionary, "ref" | "numLatents">;
  /** The list's own query, for links. */
  from: string;
  searching: boolean;
  heat: boolean;
  onToggleHeat: () => void;
  compact: boolean;
  at: number | null;
  onNotice: (text: string) => void;
}

/** Cards shown as blanks past the loaded ones: a jump of the scroll bar lands on something, and asks for what is between. */
const blanksAhead = 480;

/** How many items the scroll bar stands for. */
export function spannedCount(pages: FeaturePages): number {
  if (!pages.hasNext) return pages.items.length;
  const rest = pages.total === null ? pageSize : Math.max(1, pages.total - pages.items.length);
  return pages.items.length + Math.min(rest, pages.hasPrevious ? pageSize : blanksAhead);
}

/** Loads what the window comes near. */
export function useLoadNearby(pages: FeaturePages, first: number, end: number, ready: boolean): void {
  useBrowserLayoutEffect(() => {
    if (!ready || pages.stale) return;
    if (pages.hasNext && end > pages.items.length - pageSize / 2) pages.fetchNext();
    else if (pages.hasPrevious && first === 0) pages.fetchPrevious();
  });
}

/** Columns by the container's own width: all of them divide the page size. */
const gridColumns = {
  comfortable: "grid-cols-2 gap-x-2 gap-y-4 @xl:grid-cols-3 @3xl:grid-cols-4 @3xl:gap-x-4 @7xl:grid-cols-6 @min-[110rem]:grid-cols-8",
  compact: "grid-cols-3 gap-x-1 gap-y-2 @xl:grid-cols-4 @3xl:grid-cols-6 @3xl:gap-x-2 @6xl:grid-cols-8",
};

function measureGrid(container: HTMLElement) {
  const grid = container.querySelector<HTMLElement>("ul");
  const item = grid?.querySelector<HTMLElement>("li");
  if (!grid || !item) return null;
  const style = getComputedStyle(grid);
  return {
    columns: style.gridTemplateColumns.split(" ").length,
    rowHeight: item.getBoundingClientRect().height + Number.parseFloat(style.rowGap),
  };
}

export function FeatureGrid({ pages, dictionary, from, searching, heat, onToggleHeat, compact, at, onNotice }: FeatureListProps) {
  const container = useRef<HTMLDivElement>(null);
  const count = spannedCount(pages);
  const rows = useWindowRows({ container, measure: measureGrid, count, layoutKey: `${compact} ${searching}`, serverItems: 24 });
  usePlace({ pages, at, geometry: rows.geometry, container });
  useLoadNearby(pages, rows.first, rows.end, rows.geometry !== null);

  const [pictures, setPictures] = useState<ReadonlyMap<number, number>>(new Map());
  const setPicture = useCallback((index: number, picture: number) => setPictures((old) => new Map(old).set(index, picture)), []);
  const { setActive } = useListKeys({
    container,
    items: pages.items,
    geometry: rows.geometry,
    dictionary: dictionary.ref,
    onToggleHeat,
    onNextPicture: (card: Card) => setPicture(card.index, ((pictures.get(card.index) ?? 0) + 1) % Math.max(1, card.top.length)),
    onNotice,
  });

  const shown = pages.items.slice(rows.first, Math.min(rows.end, pages.items.length));
  const blanks = Math.max(0, rows.end - Math.max(rows.first, pages.items.length));
  return (
    <div className="@container">
      <div
        ref={container}
        className={cn("[overflow-anchor:none] transition-opacity duration-100", pages.stale && "opacity-60")}
        aria-busy={pages.stale}
      >
        <div style={{ height: rows.above }} />
        <ul className={cn("grid", compact ? gridColumns.compact : gridColumns.comfortable)}>
          {shown.map((card, i) => (
            <li key={card.index} aria-setsize={pages.total ?? -1} aria-posinset={pages.hasPrevious ? undefined : rows.first + i + 1}>
              <FeatureCard
                card={card}
                dictionary={dictionary}
                from={from}
                heat={heat}
                compact={compact}
                searching={searching}
                eager={rows.first + i < 8}
                picture={pictures.get(card.index)}
                onPicture={setPicture}
                onFocus={setActive}
              />
            </li>
          ))}
          {Array.from({ length: blanks }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: blanks have no identity
            <li key={`blank-${i}`} aria-hidden>
              <CardSkeleton searching={searching} compact={compact} />
            </li>
          ))}
        </ul>
        <div style={{ height: rows.below }} />
      </div>
    </div>
  );
}

export function CardSkeleton({ searching = false, compact = false }: { searching?: boolean; compact?: boolean }) {
  return (
    <div className="p-1.5">
      <Skeleton className="aspect-square" />
      <div className="px-0.5 pt-2">
        <div className={cn("flex flex-col justify-center gap-2", compact ? "h-5" : "h-10")}>
          <Skeleton className="h-3 w-4/5" />
          {!compact && <Skeleton className="h-3 w-1/2" />}
        </div>
        {searching && <div className="mt-1 h-[1.125rem]" />}
        <div className="mt-1.5 flex h-6 items-center">
          <Skeleton className="h-3 w-full" />
        </div>
      </div>
    </div>
  );
}

/** While the first answer is awaited: the same grid with blanks. */
export function GridSkeleton({ compact = false, cards = 12 }: { compact?: boolean; cards?: number }) {
  return (
    <div className="@container" aria-hidden>
      <ul className={cn("grid", compact ? gridColumns.compact : gridColumns.comfortable)}>
        {Array.from({ length: cards }, (_, i) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: blanks have no identity
          <li key={i}>
            <CardSkeleton compact={compact} />
          </li>
        ))}
      </ul>
    </div>
  );
}
