import { type ReactNode, useMemo } from "react";
import { cn } from "@/components/ui/cn";
import { filling, outline, type Region } from "@/lib/core/region";

interface RegionOutlineProps {
  region: Region;
  /** Tint the inside; false where heat is to be seen there. */
  fill?: boolean;
  /** More to draw, in cells. */
  children?: ReactNode;
  className?: string;
}

/** A region over the whole of the box it is in, in its cells' coordinates: light on a dark edge, so that it is seen on any picture. */
export function RegionOutline({ region, fill = true, children, className }: RegionOutlineProps) {
  const edges = useMemo(() => outline(region), [region]);
  const inside = useMemo(() => (fill ? filling(region) : ""), [region, fill]);
  return (
    <svg
      aria-hidden="true"
      viewBox={`0 0 ${region.cols} ${region.rows}`}
      preserveAspectRatio="none"
      className={cn("pointer-events-none absolute inset-0 size-full", className)}
    >
      {fill && <path d={inside} className="fill-accent opacity-35" />}
      <g fill="none" strokeLinecap="square">
        <path d={edges} stroke="#000a" strokeWidth="4" vectorEffect="non-scaling-stroke" />
        <path d={edges} stroke="#fff" strokeWidth="1.75" vectorEffect="non-scaling-stroke" />
      </g>
      {children}
    </svg>
  );
}
