"use client";
import { type RefObject, useEffect, useRef } from "react";
import type { Sort } from "@/lib/core/feature-query";
import { isAddressOf } from "./list-url";
import type { FeaturePages } from "./use-feature-pages";
import { type RowGeometry, useBrowserLayoutEffect } from "./use-window-rows";

/** Where in a list one was, to the pixel: the address knows the first card only. Lives as long as the tab. */
const exactScroll = new Map<string, number>();
/** Height of what sticks to the top of the window over a list, px. */
export const stickyHeight = () => (window.innerWidth < 640 ? 56 : 112);
const settleMs = 160;

/** Another layout of the same list (table, compact, a resized window) has other pixels. */
function exactKey(listKey: string, at: number | null, { columns, rowHeight }: RowGeometry): string {
  return `${listKey}@${at} ${columns}×${Math.round(rowHeight)}`;
}

/** The first card on screen, as the address has it. */
function noted(): number | null {
  const text = new URLSearchParams(window.location.search).get("at");
  return text === null || !/^\d+$/.test(text) ? null : Number(text);
}

/**
 * Writes the place into the address without a step. Past the router, which takes a change of the address during a navigation for another
 * navigation and drops the one under way; it reads the address again when the entry is returned to.
 */
function note(cursor: string | null, at: number | null): void {
  const url = new URL(window.location.href);
  for (const [key, value] of [
    ["cursor", cursor],
    ["at", at],
  ] as const) {
    if (value === null) url.searchParams.delete(key);
    else url.searchParams.set(key, String(value));
  }
  window.history.replaceState(window.history.state, "", url);
}

interface PlaceOptions {
  pages: FeaturePages;
  /** The address's place when the list became another one (Back, Forward, a link). */
  at: number | null;
  /** The dictionary's order where the address names none. */
  usual: Sort;
  geometry: RowGeometry | null;
  container: RefObject<HTMLElement | null>;
}

/** Keeps the address and the scroll position the same, restores the position, and holds it while earlier pages are put before. */
export function usePlace({ pages, at, usual, geometry, container }: PlaceOptions): void {
  const latest = useRef({ pages, geometry, usual });
  latest.current = { pages, geometry, usual };
  const restored = useRef<string | null>(null);
  const firstIndex = pages.items[0]?.index;
  const previousFirst = useRef<{ key: string; index: number | undefined; count: number } | null>(null);

  // The window's scroll position follows the address once, when a list is opened or becomes another one…
  useBrowserLayoutEffect(() => {
    if (!geometry || pages.pending || pages.stale || restored.current === pages.listKey) return;
    const opening = restored.current === null;
    restored.current = pages.listKey;
    const place = opening ? noted() : at;
    const position = place === null ? -1 : pages.items.findIndex((item) => item.index === place);
    if (position >= 0) {
      const row = Math.floor(position / geometry.columns) * geometry.rowHeight;
      window.scrollTo(0, exactScroll.get(exactKey(pages.listKey, place, geometry)) ?? geometry.offset + row - stickyHeight() - 8);
    } else if (!opening) {
      const top = geometry.offset - stickyHeight() - 8;
      if (window.scrollY > top) window.scrollTo(0, Math.max(0, top));
    }
  }, [geometry, pages.pending, pages.stale, pages.listKey, at, pages.items]);

  // …and stays on the same cards when pages are loaded above them.
  useBrowserLayoutEffect(() => {
    const before = previousFirst.current;
    previousFirst.current = { key: pages.listKey, index: firstIndex, count: pages.items.length };
    if (!before || !geometry || before.key !== pages.listKey || before.index === undefined || before.index === firstIndex) return;
    const added = pages.items.findIndex((item) => item.index === before.index);
    if (added > 0) window.scrollBy(0, Math.round(added / geometry.columns) * geometry.rowHeight);
  }, [firstIndex, pages.listKey, pages.items, geometry]);

  // The other way: when scrolling rests, the address notes the first card on screen.
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settle = () => {
      const { pages, geometry, usual } = latest.current;
      if (!geometry || !container.current?.isConnected || restored.current !== pages.listKey) return;
      const row = Math.max(
        0,
        Math.floor((window.scrollY + stickyHeight() - geometry.offset + geometry.rowHeight / 3) / geometry.rowHeight),
      );
      const position = row * geometry.columns;
      const item = pages.items[position];
      // The address may already be another list's, whose cards are still on their way.
      if (!item || pages.stale || !isAddressOf(pages.listKey, window.location, usual)) return;
      const top = row === 0 && !pages.hasPrevious;
      exactScroll.set(exactKey(pages.listKey, top ? null : item.index, geometry), window.scrollY);
      if ((top ? null : item.index) !== noted()) note(top ? null : pages.cursorOf(position), top ? null : item.index);
    };
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(settle, settleMs);
    };
    window.addEventListener("scroll", listen, { passive: true });
    return () => {
      clearTimeout(timer);
      window.removeEventListener("scroll", listen);
    };
  }, [container]);
}
