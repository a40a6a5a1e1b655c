"use client";
import { type KeyboardEvent, useRef } from "react";
import { HeatmapCanvas, type HeatmapCanvasProps } from "@/components/heatmap/heatmap-canvas";
import { cn } from "@/components/ui/cn";
import { formatActivation } from "@/lib/core/format";
import { stepCell } from "./pictures";

export interface CellState {
  /** Row-major; null when none is looked at. */
  cell: number | null;
  /** Stays when the pointer leaves. */
  held: boolean;
}

export const noCell: CellState = { cell: null, held: false };

interface CellPictureProps extends Omit<HeatmapCanvasProps, "onCell" | "highlightCell" | "map" | "children" | "className"> {
  /** `rows × cols`, row-major; zeros where there is nothing to show. */
  dense: Float32Array;
  state: CellState;
  onState: (state: CellState) => void;
  /** Where the keyboard starts. */
  startCell: number;
  /** What a cell's number is called aloud. */
  describeCell?: (cell: number) => string;
  /** What Enter and a click do, for the accessible name. */
  holdHint: string;
  className?: string;
}

/**
 * A picture whose grid cells can be read: by pointer, by tap, by arrow keys (Home and End: the row's ends). Enter, Space and a click hold a
 * cell, Escape lets it go. To assistive technology it is a two-dimensional slider whose value text names the cell and its activation.
 */
export function CellPicture({
  dense,
  rows,
  cols,
  state,
  onState,
  startCell,
  describeCell,
  holdHint,
  alt,
  className,
  ...picture
}: CellPictureProps) {
  // On touch the pointer has left before the click arrives.
  const pointed = useRef<number | null>(null);
  const { cell, held } = state;
  const shown = cell ?? startCell;
  const say = describeCell ?? ((at: number) => `activation ${formatActivation(dense[at] ?? 0)}`);

  const hold = (at: number | null) => {
    if (at === null) return;
    onState(held && at === cell ? { cell: at, held: false } : { cell: at, held: true });
  };

  const press = (event: KeyboardEvent) => {
    if (event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "Enter" || event.key === " ") hold(shown);
    else if (event.key === "Escape" && cell !== null) onState(noCell);
    else {
      const next = stepCell(shown, event.key, rows, cols);
      if (next === null) return;
      onState({ cell: cell === null ? shown : next, held });
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      role="slider"
      tabIndex={0}
      aria-roledescription="grid of cells"
      aria-label={`${alt}. Arrow keys move over its cells, ${holdHint}`}
      aria-valuemin={1}
      aria-valuemax={rows * cols}
      aria-valuenow={shown + 1}
      aria-valuetext={`row ${Math.floor(shown / cols) + 1}, column ${(shown % cols) + 1}, ${say(shown)}${held ? ", held" : ""}`}
      onKeyDown={press}
      onBlur={() => !held && cell !== null && onState(noCell)}
      onClick={() => hold(pointed.current)}
      className={cn("cursor-crosshair rounded-sm focus-visible:outline-offset-4", className)}
    >
      <HeatmapCanvas
        {...picture}
        alt=""
        rows={rows}
        cols={cols}
        map={dense}
        highlightCell={cell}
        onCell={(at) => {
          if (at !== null) pointed.current = at;
          if (!held && at !== cell) onState(at === null ? noCell : { cell: at, held: false });
        }}
      />
    </div>
  );
}
