"use client";
import { type KeyboardEvent, type PointerEvent, useMemo, useRef, useState } from "react";
import { stepCell } from "@/components/feature/pictures";
import { HeatmapCanvas } from "@/components/heatmap/heatmap-canvas";
import { cn } from "@/components/ui/cn";
import { formatPercent } from "@/lib/core/format";
import { cellsBox, type Point, paintShape, type Shape } from "@/lib/core/region";
import { RegionOutline } from "./region-outline";
import type { Painting, Tool } from "./use-region";

/** Points of a path that lie nearer to each other, in cells, add nothing. */
const nearest = 0.1;

interface RegionPainterProps {
  src: string;
  /** What the picture shows. */
  alt: string;
  painting: Painting;
  /** The heat that is looked at; null shows the picture. */
  heat: { dense: Float32Array; max: number } | null;
  className?: string;
}

function shapeOf(tool: Tool, path: readonly Point[], radius: number): Shape | null {
  const [first] = path;
  const last = path.at(-1);
  if (!first || !last) return null;
  if (tool === "brush") return { kind: "brush", path, radius };
  if (tool === "lasso") return path.length > 2 ? { kind: "lasso", path } : null;
  // A press without a drag means the cell.
  const still = Math.abs(first.x - last.x) < nearest && Math.abs(first.y - last.y) < nearest;
  const corner = { x: Math.floor(first.x), y: Math.floor(first.y) };
  return still ? { kind: "box", from: corner, to: { x: corner.x + 1, y: corner.y + 1 } } : { kind: "box", from: first, to: last };
}

/**
 * A picture to paint a region on: by mouse, pen or finger with the chosen tool; by keyboard with a cursor that arrow keys move, Shift with an arrow
 * stretches to a box, and Space paints (Delete erases, Escape lets the box go).
 */
export function RegionPainter({ src, alt, painting, heat, className }: RegionPainterProps) {
  const { region, cover, tool, erase, radius } = painting;
  const { rows, cols } = region;
  const [path, setPath] = useState<Point[] | null>(null);
  const [pointer, setPointer] = useState<Point | null>(null);
  /** The keyboard's cursor and the cell where its box began; shown once a key moved it. */
  const [cursor, setCursor] = useState<{ cell: number; from: number } | null>(null);
  const surface = useRef<HTMLDivElement>(null);
  const nothing = useMemo(() => new Float32Array(rows * cols), [rows, cols]);
  const draft = path ? shapeOf(tool, path, radius) : null;
  const shown = useMemo(() => (draft ? paintShape(region, draft, erase) : region), [region, draft, erase]);

  const at = (event: PointerEvent): Point => {
    const box = (surface.current as HTMLDivElement).getBoundingClientRect();
    const part = (value: number, most: number) => Math.max(0, Math.min(most, value));
    return {
      x: part(((event.clientX - box.left) / box.width) * cols, cols),
      y: part(((event.clientY - box.top) / box.height) * rows, rows),
    };
  };
  const down = (event: PointerEvent<HTMLDivElement>) => {
    if (!event.isPrimary || event.button !== 0) return;
    event.currentTarget.setPointerCapture?.(event.pointerId);
    setCursor(null);
    setPath([at(event)]);
  };
  const move = (event: PointerEvent<HTMLDivElement>) => {
    if (!event.isPrimary) return;
    const point = at(event);
    setPointer(event.pointerType === "touch" ? null : point);
    setPath((now) => {
      const last = now?.at(-1);
      return now && last && Math.hypot(point.x - last.x, point.y - last.y) >= nearest ? [...now, point] : now;
    });
  };
  const up = (event: PointerEvent<HTMLDivElement>) => {
    if (!event.isPrimary || !path) return;
    setPath(null);
    // With where it ended: of a quick stroke the last move may not have been drawn yet.
    const whole = shapeOf(tool, [...path, at(event)], radius);
    if (whole) painting.paint(whole);
  };

  const press = (event: KeyboardEvent) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    const here = cursor ?? { cell: Math.floor(rows / 2) * cols + Math.floor(cols / 2), from: -1 };
    const place = here.from < 0 ? { cell: here.cell, from: here.cell } : here;
    if (event.key === " " || event.key === "Enter" || event.key === "Delete" || event.key === "Backspace") {
      painting.paint(cellsBox(place.from, place.cell, cols), erase || event.key === "Delete" || event.key === "Backspace");
      setCursor({ cell: place.cell, from: place.cell });
    } else if (event.key === "Escape" && (path || place.from !== place.cell)) {
      setPath(null);
      setCursor({ cell: place.cell, from: place.cell });
    } else {
      const next = stepCell(place.cell, event.key, rows, cols);
      if (next === null) return;
      // The first key shows where the cursor is.
      const cell = cursor ? next : place.cell;
      setCursor({ cell, from: event.shiftKey ? place.from : cell });
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const box = cursor ? cellsBox(cursor.from, cursor.cell, cols) : null;
  return (
    <div
      role="application"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes the focus, since its keys are its own.
      tabIndex={0}
      aria-label={`${alt}. Paint a region: arrow keys move over its cells, Shift with an arrow stretches a box, Space paints, Delete erases`}
      onKeyDown={press}
      onBlur={() => setCursor(null)}
      className={cn("cursor-crosshair rounded-sm focus-visible:outline-offset-4", className)}
    >
      <HeatmapCanvas
        src={src}
        alt=""
        rows={rows}
        cols={cols}
        map={heat?.dense ?? nothing}
        max={heat?.max ?? 1}
        size={640}
        loading="eager"
        immediate
      >
        <div
          ref={surface}
          data-surface
          className="absolute inset-0 touch-none select-none"
          onPointerDown={down}
          onPointerMove={move}
          onPointerUp={up}
          onPointerCancel={() => setPath(null)}
          onPointerLeave={() => setPointer(null)}
        >
          <RegionOutline region={shown} fill={heat === null}>
            {tool === "brush" && pointer && !path && (
              <circle
                cx={pointer.x}
                cy={pointer.y}
                r={radius}
                fill="none"
                stroke="#fff"
                strokeWidth="1.5"
                vectorEffect="non-scaling-stroke"
              />
            )}
            {tool === "lasso" && path && (
              <polyline
                points={path.map(({ x, y }) => `${x},${y}`).join(" ")}
                fill="none"
                stroke="#fff"
                strokeWidth="1.5"
                strokeDasharray="4 3"
                vectorEffect="non-scaling-stroke"
              />
            )}
            {box?.kind === "box" && (
              <g fill="none" strokeDasharray={cursor?.from === cursor?.cell ? undefined : "4 3"}>
                {(["#000a", "#fff"] as const).map((colour) => (
                  <rect
                    key={colour}
                    x={box.from.x}
                    y={box.from.y}
                    width={box.to.x - box.from.x}
                    height={box.to.y - box.from.y}
                    stroke={colour}
                    strokeWidth={colour === "#fff" ? 2 : 4}
                    vectorEffect="non-scaling-stroke"
                  />
                ))}
              </g>
            )}
          </RegionOutline>
        </div>
      </HeatmapCanvas>
      <p role="status" className="sr-only">
        {cursor &&
          `Row ${Math.floor(cursor.cell / cols) + 1}, column ${(cursor.cell % cols) + 1}, ${formatPercent(cover[cursor.cell] ?? 0)} painted${
            cursor.from === cursor.cell ? "" : `, box from row ${Math.floor(cursor.from / cols) + 1}, column ${(cursor.from % cols) + 1}`
          }`}
      </p>
    </div>
  );
}
