"use client";
import { useQuery } from "@tanstack/react-query";
import { type KeyboardEvent, type PointerEvent, useId, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { formatNoun } from "@/lib/core/format";
import { cellAt } from "@/lib/core/heat";
import type { ImageRef } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { decodeMap } from "@/lib/core/sparse-map";
import { pictureFeatures } from "./on-picture";
import { cellAfterKey, type Grid, withCell } from "./region";

interface RegionPadProps {
  dictionary: string;
  feature: number;
  image: ImageRef;
  grid: Grid;
  cells: number[];
  onChange: (cells: number[]) => void;
}

/** The picture under its grid: press or drag to paint the cells where a clamp acts, again to erase. */
export function RegionPad({ dictionary, feature, image, grid, cells, onChange }: RegionPadProps) {
  const { rows, cols } = grid;
  const [cursor, setCursor] = useState<number | null>(null);
  const stroke = useRef<{ paint: boolean; cells: number[] } | null>(null);
  const helpId = useId();
  const painted = new Set(cells);
  const analysis = useQuery(pictureFeatures(dictionary, image));
  const map = analysis.data?.features.find(({ index }) => index === feature)?.map;
  const firing = map ? Array.from(decodeMap(map).positions) : [];

  const cellUnder = (event: PointerEvent) => {
    const box = event.currentTarget.getBoundingClientRect();
    return cellAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, rows, cols);
  };
  const draw = (cell: number) => {
    if (!stroke.current) return;
    // Several cells may be crossed between two paints of the page.
    stroke.current.cells = withCell(stroke.current.cells, cell, stroke.current.paint);
    onChange(stroke.current.cells);
  };
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = cursor ?? cells[0] ?? 0;
    const next = cellAfterKey(at, event.key, grid);
    if (next !== null) setCursor(next);
    else if (event.key === " " || event.key === "Enter") onChange(withCell(cells, at, !painted.has(at)));
    else return;
    event.preventDefault();
  };

  return (
    <div className="mt-2 flex flex-wrap items-start gap-3">
      <div
        role="application"
        aria-label="Cells of the picture"
        aria-describedby={helpId}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: its own keys paint
        tabIndex={0}
        onKeyDown={press}
        onFocus={() => setCursor((known) => known ?? cells[0] ?? 0)}
        onBlur={() => setCursor(null)}
        onPointerDown={(event) => {
          const cell = cellUnder(event);
          if (cell === null || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          stroke.current = { paint: !painted.has(cell), cells };
          draw(cell);
        }}
        onPointerMove={(event) => {
          const cell = stroke.current && cellUnder(event);
          if (cell !== null) draw(cell);
        }}
        onPointerUp={() => {
          stroke.current = null;
        }}
        onPointerCancel={() => {
          stroke.current = null;
        }}
        className="relative aspect-square w-48 shrink-0 cursor-crosshair touch-none select-none overflow-hidden rounded bg-sunken"
      >
        {/* biome-ignore lint/performance/noImgElement: content-addressed or of this browser; nothing to optimise */}
        <img
          src={"sha256" in image ? routes.api.image(image.sha256) : image.dataUrl}
          alt=""
          draggable={false}
          // The model, too, sees it stretched to its square.
          className="pointer-events-none absolute inset-0 size-full object-fill"
        />
        <svg viewBox={`0 0 ${cols} ${rows}`} preserveAspectRatio="none" aria-hidden="true" className="absolute inset-0 size-full">
          {Array.from({ length: rows * cols }, (_, cell) => (
            <rect
              // biome-ignore lint/suspicious/noArrayIndexKey: a cell is its place
              key={cell}
              x={cell % cols}
              y={Math.floor(cell / cols)}
              width={1}
              height={1}
              strokeWidth={0.02}
              className={painted.has(cell) ? "fill-transparent stroke-white" : "fill-black/55 stroke-black/30"}
            />
          ))}
          {cursor !== null && (
            <rect
              x={(cursor % cols) + 0.06}
              y={Math.floor(cursor / cols) + 0.06}
              width={0.88}
              height={0.88}
              strokeWidth={0.12}
              className="fill-none stroke-accent"
            />
          )}
        </svg>
      </div>
      <div className="flex min-w-28 flex-1 flex-col items-start gap-2 text-muted text-sm">
        <p className="num">
          {cells.length} of {formatNoun(rows * cols, "cell")}
        </p>
        <p id={helpId}>Press or drag to paint, again to erase. Keys: arrows and Space.</p>
        <Button size="sm" disabled={firing.length === 0} onClick={() => onChange(firing)}>
          Where it fires
        </Button>
        {analysis.data && firing.length === 0 && <p>It fires nowhere on this picture.</p>}
        <span className="sr-only" aria-live="polite">
          {cursor === null
            ? ""
            : `Row ${Math.floor(cursor / cols) + 1}, column ${(cursor % cols) + 1}, ${painted.has(cursor) ? "painted" : "not painted"}`}
        </span>
      </div>
    </div>
  );
}
