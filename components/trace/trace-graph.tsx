"use client";
import { useEffect, useMemo, useRef, useState } from "react";
import { graphSize, layoutGraph } from "@/components/charts/trace-graph-marks";
import { ConceptGlyph } from "@/components/search/concept";
import { cn } from "@/components/ui/cn";
import { formatIndex } from "@/lib/core/format";
import { mainSources, positionOfSource, type RankedRow, sourceId, type TracePosition } from "./contributions";
import { formatContribution } from "./format";
import type { TracePicture } from "./where-panel";

interface TraceGraphProps {
  /** The explained token, and what it is compared with. */
  answer: string;
  rows: readonly RankedRow[];
  positions: readonly TracePosition[];
  pictures: readonly TracePicture[];
  decimals: number;
  held: number | null;
  onHold: (feature: number | null) => void;
}

const most = { features: 10, words: 7, cells: 6 };

/** The answer, the features that made it, and the words and patches that these were active on. */
export function TraceGraph({ answer, rows, positions, pictures, decimals, held, onHold }: TraceGraphProps) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(720);
  const [near, setNear] = useState<number | null>(null);

  // Text keeps its size at every width, so the drawing is made for the width that there is.
  useEffect(() => {
    if (!frame.current) return;
    const observer = new ResizeObserver(([entry]) => entry && setWidth(Math.max(280, Math.floor(entry.contentRect.width))));
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, []);

  const shown = useMemo(() => rows.slice(0, most.features), [rows]);
  const sources = useMemo(() => mainSources(shown, positions, most.words, most.cells), [shown, positions]);
  const size = graphSize(width);
  const layout = useMemo(() => {
    const known = new Set(sources);
    const features = shown.map(({ feature, value, at }) => ({
      index: feature,
      value,
      from: Array.from(at.positions, (position, i) => ({
        source: sourceId(position, positions[position]?.kind ?? "text"),
        value: at.values[i] as number,
      })).filter(({ source }) => known.has(source)),
    }));
    return layoutGraph(features, sources, graphSize(width));
  }, [shown, sources, positions, width]);

  const lit = near ?? held;
  return (
    <div ref={frame} className="w-full">
      <p className="mb-3 text-muted text-sm">
        {size.stacked ? "Left: words and patches. Right: features, and above them the answer." : "Words and patches → features → answer."}{" "}
        Thicker carries more; blue speaks for it, orange against.
      </p>
      <div className="relative" style={{ height: layout.height, width }}>
        <svg width={width} height={layout.height} aria-hidden="true" className="absolute inset-0">
          {layout.edges.map(({ id, path, thickness, value, feature }) => (
            <path
              key={id}
              d={path}
              fill="none"
              strokeWidth={thickness}
              className={value < 0 ? "stroke-negative" : "stroke-positive"}
              opacity={lit === null ? 0.45 : lit === feature ? 0.95 : 0.1}
            />
          ))}
        </svg>
        <div
          className="absolute flex items-center justify-center rounded-md bg-accent-soft px-2 text-center font-medium text-accent text-sm"
          style={{ left: layout.answer.x, top: layout.answer.y, width: layout.answer.width, height: size.row }}
        >
          <span dir="auto" className="truncate">
            {answer}
          </span>
        </div>
        <ul aria-label="Words and patches">
          {layout.sources.map(({ id, x, y, width }) => (
            <li key={id} className="absolute flex items-center justify-end" style={{ left: x, top: y, width, height: size.row }}>
              <Source position={positionOfSource(id)} positions={positions} pictures={pictures} side={size.row} />
            </li>
          ))}
        </ul>
        <ul aria-label="Features">
          {layout.features.map(({ id, x, y, width }, i) => {
            const row = shown[i] as RankedRow;
            return (
              <li key={id} className="absolute" style={{ left: x, top: y, width, height: size.row }}>
                <button
                  type="button"
                  aria-pressed={held === row.feature}
                  aria-label={`${row.label ?? "no explanation"}, ${formatIndex(row.feature)}: ${formatContribution(row.value, decimals)}`}
                  onClick={() => onHold(held === row.feature ? null : row.feature)}
                  onPointerEnter={() => setNear(row.feature)}
                  onPointerLeave={() => setNear(null)}
                  onFocus={() => setNear(row.feature)}
                  onBlur={() => setNear(null)}
                  className={cn(
                    "flex size-full items-center gap-1.5 rounded-md bg-raised px-2 text-left text-sm ring-1 ring-line ring-inset hover:bg-sunken",
                    held === row.feature && "ring-2 ring-accent",
                  )}
                >
                  <ConceptGlyph concept={row.concept} />
                  <span dir="auto" className={cn("min-w-0 grow truncate", !row.label && "text-muted italic")}>
                    {row.label ?? formatIndex(row.feature)}
                  </span>
                  <span className={cn("num shrink-0 text-xs", row.value < 0 ? "text-negative" : "text-positive")}>
                    {formatContribution(row.value, decimals)}
                  </span>
                </button>
              </li>
            );
          })}
        </ul>
      </div>
    </div>
  );
}

interface SourceProps {
  position: number;
  positions: readonly TracePosition[];
  pictures: readonly TracePicture[];
  side: number;
}

/** A word as it was read, or a patch cut out of its picture. */
function Source({ position, positions, pictures, side }: SourceProps) {
  const place = positions[position];
  if (!place) return null;
  if (!place.cell) {
    return (
      <span dir="auto" className="max-w-full truncate rounded bg-sunken px-2 py-1 text-sm" title={place.text}>
        {place.text.trim() || "␣"}
      </span>
    );
  }
  const picture = pictures[place.cell.image];
  if (!picture) return null;
  const { rows, cols, src } = picture;
  const { cell } = place.cell;
  const [row, col] = [Math.floor(cell / cols), cell % cols];
  return (
    <span className="flex items-center gap-1.5 text-muted text-xs">
      <span className="num">
        {row + 1}:{col + 1}
      </span>
      <span
        role="img"
        aria-label={`Patch in row ${row + 1}, column ${col + 1}`}
        className="block shrink-0 rounded-sm bg-sunken ring-1 ring-line"
        style={{
          width: side - 4,
          height: side - 4,
          backgroundImage: `url("${src}")`,
          backgroundSize: `${cols * (side - 4)}px ${rows * (side - 4)}px`,
          backgroundPosition: `-${col * (side - 4)}px -${row * (side - 4)}px`,
        }}
      />
    </span>
  );
}
