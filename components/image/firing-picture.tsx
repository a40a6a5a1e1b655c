import { useMemo } from "react";
import { CellPicture, type CellState } from "@/components/feature/cell-picture";
import { PaintedPicture } from "@/components/region/painted-picture";
import type { Painting } from "@/components/region/use-region";
import { type Firing, firingScale } from "./firing";

interface FiringPictureProps {
  src: string;
  alt: string;
  rows: number;
  cols: number;
  /** The feature whose heat lies over the picture. */
  shown: Firing | null;
  /** The region that somebody paints; null where the cells are read. */
  painting: Painting | null;
  cell: CellState;
  onCell: (cell: CellState) => void;
  /** What fires in a cell, aloud. */
  describeCell: (cell: number) => string;
  className?: string;
}

/** A picture with what fires on it: read cell by cell, or painted on. */
export function FiringPicture({ src, alt, rows, cols, shown, painting, cell, onCell, describeCell, className }: FiringPictureProps) {
  const nothing = useMemo(() => new Float32Array(rows * cols), [rows, cols]);
  if (painting) return <PaintedPicture src={src} alt={alt} painting={painting} shown={shown} className={className} />;
  return (
    <CellPicture
      src={src}
      alt={alt}
      dense={shown?.dense ?? nothing}
      rows={rows}
      cols={cols}
      max={shown ? firingScale(shown) : 1}
      state={cell}
      onState={onCell}
      startCell={0}
      describeCell={describeCell}
      holdHint="Enter holds one and keeps the list to it"
      size={640}
      loading="eager"
      immediate
      className={className}
    />
  );
}
