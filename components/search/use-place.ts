"use client";
import { type RefObject, useEffect, useRef } from "react";
import type { FeaturePages } from "./use-feature-pages";
import { type RowGeometry, useBrowserLayoutEffect } from "./use-window-rows";

/** Where in a list one was, to the pixel: the address knows the first card only. Lives as long as the tab. */
const exactScroll = new Map<string, number>();
/** Height of what sticks to the top of the window over a list, px. */
export const stickyHeight = () => (window.innerWidth < 640 ? 56 : 112);
const settleMs = 160;

interface PlaceOptions {
  pages: FeaturePages;
  /** Of the address: the first card on screen. */
  at: number | null;
  setPlace: (cursor: string | null, at: number | null) => void;
  geometry: RowGeometry | null;
  container: RefObject<HTMLElement | null>;
}

/** Keeps the address and the scroll position the same, restores the position, and holds it while earlier pages are put before. */
export function usePlace({ pages, at, setPlace, geometry, container }: PlaceOptions): void {
  const latest = useRef({ pages, at, setPlace, geometry });
  latest.current = { pages, at, setPlace, geometry };
  const restored = useRef<string | null>(null);
  const firstIndex = pages.items[0]?.index;
  const previousFirst = useRef<{ key: string; index: number | undefined; count: number } | null>(null);

  // The window's scroll position follows the address once, when a list is opened or becomes another one…
  useBrowserLayoutEffect(() => {
    if (!geometry || pages.pending || pages.stale || restored.current === pages.listKey) return;
    const opening = restored.current === null;
    restored.current = pages.listKey;
    const position = at === null ? -1 : pages.items.findIndex((item) => item.index === at);
    if (position >= 0) {
      const row = Math.floor(position / geometry.columns) * geometry.rowHeight;
      window.scrollTo(0, exactScroll.get(`${pages.listKey}@${at}`) ?? geometry.offset + row - stickyHeight() - 8);
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
    const note = () => {
      const { pages, at, setPlace, geometry } = latest.current;
      if (!geometry || !container.current?.isConnected || restored.current !== pages.listKey) return;
      const row = Math.max(
        0,
        Math.floor((window.scrollY + stickyHeight() - geometry.offset + geometry.rowHeight / 3) / geometry.rowHeight),
      );
      const position = row * geometry.columns;
      const item = pages.items[position];
      if (!item) return;
      const top = row === 0 && !pages.hasPrevious;
      exactScroll.set(`${pages.listKey}@${top ? null : item.index}`, window.scrollY);
      if ((top ? null : item.index) !== at) setPlace(top ? null : pages.cursorOf(position), top ? null : item.index);
    };
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(note, settleMs);
    };
    window.addEventListener("scroll", listen, { passive: true });
    return () => {
      clearTimeout(timer);
      window.removeEventListener("scroll", listen);
    };
  }, [container]);
}
