"use client";
import { useRef } from "react";
import { cn } from "@/components/ui/cn";
import { Skeleton } from "@/components/ui/skeleton";
import { FeatureCard } from "./feature-card";
import { type FeatureListProps, useFeatureList } from "./use-feature-list";

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

export function FeatureGrid({ searching, sort, compact, heat, bare, from, ...list }: FeatureListProps) {
  const { pages, dictionary } = list;
  const container = useRef<HTMLDivElement>(null);
  const { shown, first, blanks, above, below, pictureOf, setPicture, setActive } = useFeatureList({
    ...list,
    container,
    measure: measureGrid,
    layoutKey: `${compact} ${searching} ${bare}`,
    serverItems: 24,
  });
  return (
    <div className="@container">
      {bare && <p className="px-1.5 pb-3 text-muted text-sm">None of these features has a picture or a text in this catalogue.</p>}
      <div
        ref={container}
        className={cn("[overflow-anchor:none] transition-opacity duration-100", pages.stale && "opacity-60")}
        aria-busy={pages.stale}
      >
        <div style={{ height: above }} />
        <ul className={cn("grid", compact ? gridColumns.compact : gridColumns.comfortable)}>
          {shown.map((card, i) => (
            <li key={card.index} aria-setsize={pages.total ?? -1} aria-posinset={pages.hasPrevious ? undefined : first + i + 1}>
              <FeatureCard
                card={card}
                dictionary={dictionary}
                version={list.version}
                from={from}
                heat={heat}
                compact={compact}
                bare={bare}
                searching={searching}
                sort={sort}
                eager={first + i < 8}
                picture={pictureOf(card.index)}
                onPicture={setPicture}
                onFocus={setActive}
              />
            </li>
          ))}
          {Array.from({ length: blanks }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: blanks have no identity
            <li key={`blank-${i}`} aria-hidden>
              <CardSkeleton searching={searching} compact={compact} bare={bare} />
            </li>
          ))}
        </ul>
        <div style={{ height: below }} />
      </div>
    </div>
  );
}

export function CardSkeleton({
  searching = false,
  compact = false,
  bare = false,
}: {
  searching?: boolean;
  compact?: boolean;
  bare?: boolean;
}) {
  return (
    <div className="p-1.5">
      {!bare && <Skeleton className="aspect-square" />}
      <div className={cn("px-0.5", !bare && "pt-2")}>
        <div className={cn("flex flex-col justify-center gap-2", compact ? "h-5" : "h-10")}>
          <Skeleton className="h-3 w-4/5" />
          {!compact && <Skeleton className="h-3 w-1/2" />}
        </div>
        {searching && <div className="mt-1 h-[1.125rem]" />}
        <div className={cn("mt-1.5 flex flex-col justify-center", compact ? "h-6" : "h-11")}>
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
