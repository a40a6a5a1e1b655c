"use client";
import { type RefObject, useCallback, useState } from "react";
import type { Sort } from "@/lib/core/feature-query";
import type { Dictionary, FeatureCard, SortKey } from "@/lib/core/records";
import { pageSize } from "./list-url";
import type { FeaturePages } from "./use-feature-pages";
import { useListKeys } from "./use-list-keys";
import { usePlace } from "./use-place";
import { type RowGeometry, useBrowserLayoutEffect, useWindowRows } from "./use-window-rows";

/** What the grid and the table are both given. */
export interface FeatureListProps {
  pages: FeaturePages;
  dictionary: Pick<Dictionary, "ref" | "numLatents" | "engine">;
  /** Where the list is not of the latest: first 12 digits. */
  version?: string;
  /** The list's own query, for links. */
  from: string;
  searching: boolean;
  /** What the list is sorted by. */
  sort: SortKey;
  heat: boolean;
  onToggleHeat: () => void;
  compact: boolean;
  /** No feature of it has a picture or a text (bare-list.ts). */
  bare: boolean;
  at: number | null;
  /** The dictionary's order where the address names none. */
  usual: Sort;
  onNotice: (text: string) => void;
}

interface FeatureListOptions
  extends Pick<FeatureListProps, "pages" | "dictionary" | "version" | "at" | "usual" | "onToggleHeat" | "onNotice"> {
  container: RefObject<HTMLElement | null>;
  measure: (container: HTMLElement) => Omit<RowGeometry, "offset"> | null;
  layoutKey: string;
  serverItems: number;
}

export interface ShownList {
  /** Loaded features that are in the document, and the place of their first. */
  shown: FeatureCard[];
  first: number;
  /** Places after them whose features are still to come. */
  blanks: number;
  /** Stand in for the rows above and below, px. */
  above: number;
  below: number;
  /** Which of its pictures a feature shows. */
  pictureOf: (index: number) => number;
  setPicture: (index: number, picture: number) => void;
  /** The keys start from here. */
  setActive: (index: number) => void;
}

/** Cards shown as blanks past the loaded ones: a jump of the scroll bar lands on something, and asks for what is between. */
const blanksAhead = 480;

/** How many items the scroll bar stands for. */
function spannedCount(pages: FeaturePages): number {
  if (!pages.hasNext) return pages.items.length;
  const rest = pages.total === null ? pageSize : Math.max(1, pages.total - pages.items.length);
  return pages.items.length + Math.min(rest, pages.hasPrevious ? pageSize : blanksAhead);
}

/** Loads what the window comes near. */
function useLoadNearby(pages: FeaturePages, first: number, end: number, ready: boolean): void {
  useBrowserLayoutEffect(() => {
    if (!ready || pages.stale) return;
    if (pages.hasNext && end > pages.items.length - pageSize / 2) pages.fetchNext();
    else if (pages.hasPrevious && first === 0) pages.fetchPrevious();
  });
}

/** A long list in a window: the rows near it, loaded as one comes near, its place in the address, its keys and its pictures. */
export function useFeatureList(options: FeatureListOptions): ShownList {
  const { pages, dictionary, version, at, usual, onToggleHeat, onNotice, container, measure, layoutKey, serverItems } = options;
  const rows = useWindowRows({ container, measure, count: spannedCount(pages), layoutKey, serverItems });
  usePlace({ pages, at, usual, geometry: rows.geometry, container });
  useLoadNearby(pages, rows.first, rows.end, rows.geometry !== null);
  const [pictures, setPictures] = useState<ReadonlyMap<number, number>>(new Map());
  const setPicture = useCallback((index: number, picture: number) => setPictures((old) => new Map(old).set(index, picture)), []);
  const pictureOf = (index: number) => pictures.get(index) ?? 0;
  const { setActive } = useListKeys({
    listKey: pages.listKey,
    container,
    items: pages.items,
    geometry: rows.geometry,
    dictionary,
    version,
    onToggleHeat,
    onNextPicture: (card) => setPicture(card.index, (pictureOf(card.index) + 1) % Math.max(1, card.top.length)),
    onNotice,
  });
  return {
    shown: pages.items.slice(rows.first, Math.min(rows.end, pages.items.length)),
    first: rows.first,
    blanks: Math.max(0, rows.end - Math.max(rows.first, pages.items.length)),
    above: rows.above,
    below: rows.below,
    pictureOf,
    setPicture,
    setActive,
  };
}
