"use client";
import { memo, useEffect, useMemo, useRef } from "react";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { cn } from "@/components/ui/cn";
import { formatActivation } from "@/lib/core/format";
import type { ImageExample } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { decodeMap, toDense } from "@/lib/core/sparse-map";

export interface Look {
  show: boolean;
  /** 0..1. */
  opacity: number;
  smooth: boolean;
  max: number;
}

interface FilmstripProps {
  pictures: ImageExample[];
  position: number;
  onPosition: (position: number) => void;
  /** Outlined on every picture; null for none. */
  cell: number | null;
  look: Look;
  /** Of the band, read aloud. */
  label: string;
}

/** The pictures of a band. One tab stop; arrow keys choose. Under each its peak, or its value in the cell looked at. */
export function Filmstrip({ pictures, position, onPosition, cell, look, label }: FilmstripProps) {
  const list = useRef<HTMLDivElement>(null);

  const choose = (next: number) => {
    const bounded = Math.min(pictures.length - 1, Math.max(0, next));
    onPosition(bounded);
    list.current?.querySelectorAll<HTMLElement>("[role=option]")[bounded]?.focus();
  };
  const keys: Record<string, number> = {
    ArrowRight: position + 1,
    ArrowDown: position + 1,
    ArrowLeft: position - 1,
    ArrowUp: position - 1,
    Home: 0,
    End: pictures.length - 1,
  };

  // The strip's own scrolling: the chosen picture stays in sight, without moving the page.
  useEffect(() => {
    const strip = list.current;
    const chosen = strip?.querySelectorAll<HTMLElement>("[role=option]")[position];
    if (!strip || !chosen || strip.scrollWidth <= strip.clientWidth) return;
    const left = chosen.offsetLeft - strip.offsetLeft;
    if (left < strip.scrollLeft || left + chosen.offsetWidth > strip.scrollLeft + strip.clientWidth) {
      strip.scrollLeft = left - (strip.clientWidth - chosen.offsetWidth) / 2;
    }
  }, [position]);

  return (
    <div
      ref={list}
      role="listbox"
      aria-label={label}
      aria-orientation="horizontal"
      className="-m-1 flex gap-1 overflow-x-auto p-1 [scrollbar-width:thin]"
    >
      {pictures.map((picture, i) => (
        <div
          key={picture.image}
          role="option"
          aria-selected={i === position}
          aria-label={`Picture ${i + 1} of ${pictures.length}, peak activation ${formatActivation(picture.peak)}`}
          tabIndex={i === position ? 0 : -1}
          onClick={() => onPosition(i)}
          onKeyDown={(event) => {
            const next = keys[event.key];
            if (next === undefined || event.metaKey || event.ctrlKey || event.altKey) return;
            event.preventDefault();
            choose(next);
          }}
          className={cn(
            "min-w-20 max-w-22 flex-1 cursor-pointer rounded-md p-1",
            i === position ? "bg-accent-soft ring-2 ring-accent" : "hover:bg-sunken",
          )}
        >
          <Thumb picture={picture} cell={cell} {...look} />
        </div>
      ))}
    </div>
  );
}

const Thumb = memo(function Thumb({ picture, cell, show, opacity, smooth, max }: { picture: ImageExample; cell: number | null } & Look) {
  const dense = useMemo(() => toDense(decodeMap(picture.map), picture.rows, picture.cols), [picture]);
  const value = cell === null ? picture.peak : (dense[cell] ?? 0);
  return (
    <>
      <HeatmapCanvas
        src={routes.api.image(picture.image)}
        alt=""
        map={dense}
        rows={picture.rows}
        cols={picture.cols}
        max={max}
        show={show}
        opacity={opacity}
        smooth={smooth}
        highlightCell={cell}
        size={112}
        className="rounded-sm bg-sunken"
      />
      <span aria-hidden className={cn("num mt-1 block text-center text-[0.8125rem] leading-4", cell === null ? "text-muted" : "text-ink")}>
        {formatActivation(value)}
      </span>
    </>
  );
});
