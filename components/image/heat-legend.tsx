"use client";
import type { ReactNode } from "react";
import { ColorScale } from "@/components/heatmap/color-scale";
import { type Firing, firingScale } from "./firing";

interface HeatLegendProps {
  /** The feature that is looked at. */
  shown: Firing | null;
  /** The cell that is looked at: its activation is marked on the scale in place of the peak. */
  cell?: number | null;
  className?: string;
  /** What to do while nothing is looked at. */
  children?: ReactNode;
}

/** Which feature's heat is on the picture, and what its colours mean. */
export function HeatLegend({ shown, cell = null, className, children }: HeatLegendProps) {
  return (
    <div className={className}>
      {shown ? (
        <>
          <p dir="auto" className="truncate font-medium">
            {shown.label ?? `Feature #${shown.index}`}
          </p>
          <ColorScale
            max={firingScale(shown)}
            value={cell === null ? shown.peak : (shown.dense[cell] ?? 0)}
            label={cell === null ? "activation (peak)" : "activation (cell)"}
            className="mt-1 min-w-0"
          />
        </>
      ) : (
        children && <p className="text-muted">{children}</p>
      )}
    </div>
  );
}
