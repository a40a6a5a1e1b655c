"use client";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type RefObject, useEffect, useLayoutEffect, useRef, useState } from "react";

export interface RowGeometry {
  /** Items side by side. */
  columns: number;
  /** From the top of one row to the top of the next, px. */
  rowHeight: number;
  /** From the top of the document to the first row, px. */
  offset: number;
}

/** On the server there is no layout effect to run. */
export const useBrowserLayoutEffect = typeof window === "undefined" ? useEffect : useLayoutEffect;

interface WindowRowsOptions {
  /** Holds the rows; its parent stays as wide. */
  container: RefObject<HTMLElement | null>;
  /** Reads the layout off the page, which CSS alone decides; null while nothing is there to read. */
  measure: (container: HTMLElement) => Omit<RowGeometry, "offset"> | null;
  count: number;
  /** Changes when the layout may have changed for a reason other than the container's width. */
  layoutKey: string;
  /** Items that the server renders, before anything can be measured. */
  serverItems: number;
}

export interface WindowRows {
  geometry: RowGeometry | null;
  /** Items [first, end) are in the document. */
  first: number;
  end: number;
  /** Stand in for the rows above and below, px. */
  above: number;
  below: number;
}

/** The rows of a long list that are near the window: the rest are two blocks of blank space. All rows are equally high. */
export function useWindowRows({ container, measure, count, layoutKey, serverItems }: WindowRowsOptions): WindowRows {
  const [geometry, setGeometry] = useState<RowGeometry | null>(null);
  const latest = useRef(measure);
  latest.current = measure;

  // The browser's layout is read after each change of width, density or view.
  useBrowserLayoutEffect(() => {
    const element = container.current;
    if (!element) return;
    const read = () => {
      const measured = latest.current(element);
      if (!measured || measured.rowHeight <= 0) return;
      const offset = element.getBoundingClientRect().top + window.scrollY;
      setGeometry((old) =>
        old &&
        old.columns === measured.columns &&
        Math.abs(old.rowHeight - measured.rowHeight) < 0.25 &&
        Math.abs(old.offset - offset) < 0.5
          ? old
          : { ...measured, offset },
      );
    };
    read();
    const observer = new ResizeObserver(read);
    observer.observe(element.parentElement ?? element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [container, layoutKey, count > 0]);

  const columns = geometry?.columns ?? 1;
  const rowHeight = geometry?.rowHeight ?? 320;
  const rows = Math.ceil(count / columns);
  const virtualizer = useWindowVirtualizer({
    count: rows,
    estimateSize: () => rowHeight,
    overscan: 3,
    scrollMargin: geometry?.offset ?? 0,
    enabled: geometry !== null,
  });
  // Sizes are known, not measured: tell the virtualizer when they change.
  useBrowserLayoutEffect(() => virtualizer.measure(), [rowHeight, virtualizer]);

  const visible = virtualizer.getVirtualItems();
  if (!geometry || visible.length === 0) {
    // The document has its whole height at once, so that a scroll position can be restored in the same frame.
    const below = geometry ? Math.max(0, rows - Math.ceil(serverItems / columns)) * rowHeight : 0;
    return { geometry, first: 0, end: Math.min(count, serverItems), above: 0, below };
  }
  const firstRow = (visible[0] as { index: number }).index;
  const lastRow = (visible[visible.length - 1] as { index: number }).index;
  return {
    geometry,
    first: firstRow * columns,
    end: Math.min(count, (lastRow + 1) * columns),
    above: firstRow * rowHeight,
    below: Math.max(0, rows - lastRow - 1) * rowHeight,
  };
}
