"use client";
import { type PointerEvent, type ReactNode, type SyntheticEvent, useEffect, useMemo, useRef, useState } from "react";
import { cn } from "@/components/ui/cn";
import { cellAt, divergingRamp, heatRamp, interpolate, paint, type Theme } from "@/lib/core/heat";
import { decodeMap, type EncodedSparseMap, type SparseMap, toDense } from "@/lib/core/sparse-map";
import { useTheme } from "../shell/theme";
import { drawSoon } from "./draw-queue";

export interface HeatmapCanvasProps {
  src: string;
  /** What the picture shows; empty where text beside it already says so. */
  alt: string;
  /** Activations on the grid: sparse, sparse as on the wire, or dense `rows × cols`. Null shows the picture alone. */
  map: EncodedSparseMap | SparseMap | Float32Array | null;
  rows: number;
  cols: number;
  /** The value at the end of the ramp. Give all pictures that are compared the same one. */
  max: number;
  /** Of the heat, 0..1. */
  opacity?: number;
  show?: boolean;
  /** Interpolates between cells; false draws the cells as they are. */
  smooth?: boolean;
  scale?: "heat" | "diverging";
  /** The cell under the pointer with its value; null when the pointer leaves. */
  onCell?: (cell: number | null, value: number) => void;
  /** A cell to outline, row-major. */
  highlightCell?: number | null;
  /** Largest side in CSS pixels at which it will be shown: sets how finely the heat is drawn, not the layout. */
  size?: number;
  /** `eager` for pictures of the first screen. */
  loading?: "eager" | "lazy";
  /** Draw without waiting for idle time: for a picture that follows a control. */
  immediate?: boolean;
  /** Laid over exactly the picture. */
  children?: ReactNode;
  className?: string;
}

/**
 * A picture under its activations. Fills the width of its container in a square that the picture is fitted into without stretching, so
 * nothing moves when it loads; the heat covers exactly the picture, whatever its proportions.
 */
export function HeatmapCanvas({
  src,
  alt,
  map,
  rows,
  cols,
  max,
  opacity = 0.85,
  show = true,
  smooth = true,
  scale = "heat",
  onCell,
  highlightCell = null,
  size = 256,
  loading = "lazy",
  immediate = false,
  children,
  className,
}: HeatmapCanvasProps) {
  const theme = useTheme();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [proportion, setProportion] = useState(1);
  const [missing, setMissing] = useState<string | null>(null);
  const dense = useMemo(() => densify(map, rows, cols), [map, rows, cols]);

  // The canvas's bitmap is outside React; it follows the map, the scale and the theme.
  useEffect(() => {
    const target = canvas.current;
    if (!target || !show || !dense) return;
    const draw = () => drawHeat(target, { dense, rows, cols, max, smooth, scale, theme, size });
    if (immediate) {
      draw();
      return;
    }
    return drawSoon(draw);
  }, [dense, rows, cols, max, smooth, scale, theme, size, show, immediate]);

  const measure = (image: HTMLImageElement | null) => {
    if (image?.complete && image.naturalWidth > 0) setProportion(image.naturalWidth / image.naturalHeight);
  };

  const move = (event: PointerEvent<HTMLDivElement>) => {
    if (!onCell || !dense) return;
    const box = event.currentTarget.getBoundingClientRect();
    const cell = cellAt((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, rows, cols);
    onCell(cell, cell === null ? 0 : (dense[cell] ?? 0));
  };

  return (
    <div className={cn("relative flex aspect-square w-full items-center justify-center overflow-hidden", className)}>
      <div
        className="relative"
        style={{ aspectRatio: proportion, ...(proportion >= 1 ? { width: "100%" } : { height: "100%" }) }}
        onPointerMove={onCell ? move : undefined}
        onPointerDown={onCell ? move : undefined}
        onPointerLeave={onCell ? () => onCell(null, 0) : undefined}
      >
        {/* biome-ignore lint/performance/noImgElement: content-addressed and already small; the optimiser would only re-encode it */}
        <img
          ref={measure}
          src={src}
          alt={alt}
          loading={loading}
          decoding="async"
          draggable={false}
          onLoad={(event: SyntheticEvent<HTMLImageElement>) => measure(event.currentTarget)}
          onError={() => setMissing(src)}
          className={cn("absolute inset-0 size-full", missing === src && "invisible")}
        />
        {missing === src && <span className="absolute inset-x-0 top-1 text-center text-faint text-xs">picture missing</span>}
        {dense && (
          <canvas
            ref={canvas}
            aria-hidden
            className={cn(
              "pointer-events-none absolute inset-0 size-full transition-opacity duration-100",
              !smooth && "[image-rendering:pixelated]",
            )}
            style={{ opacity: show ? opacity : 0 }}
          />
        )}
        {highlightCell !== null && highlightCell < rows * cols && (
          <span
            aria-hidden
            className="pointer-events-none absolute shadow-[0_0_0_1px_#000a] outline outline-2 outline-white"
            style={{
              left: `${(100 * (highlightCell % cols)) / cols}%`,
              top: `${(100 * Math.floor(highlightCell / cols)) / rows}%`,
              width: `${100 / cols}%`,
              height: `${100 / rows}%`,
            }}
          />
        )}
        {children}
      </div>
    </div>
  );
}

function densify(map: HeatmapCanvasProps["map"], rows: number, cols: number): Float32Array | null {
  if (!map) return null;
  if (map instanceof Float32Array) return map;
  return toDense("p" in map ? decodeMap(map) : map, rows, cols);
}

interface DrawOptions {
  dense: Float32Array;
  rows: number;
  cols: number;
  max: number;
  smooth: boolean;
  scale: "heat" | "diverging";
  theme: Theme;
  size: number;
}

/**
 * Draws into the canvas at whole samples a cell: enough that what the browser then stretches differs by less than the eye sees (a
 * quarter of the screen's pixels, at least 4 and at most 24 samples a cell's side).
 */
export function drawHeat(canvas: HTMLCanvasElement, { dense, rows, cols, max, smooth, scale, theme, size }: DrawOptions): void {
  const screen = (size * (globalThis.devicePixelRatio || 1)) / Math.max(rows, cols);
  const samples = smooth ? Math.min(24, Math.max(4, Math.ceil(screen / 4))) : 1;
  const width = cols * samples;
  const height = rows * samples;
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(width, height);
  const values = samples === 1 ? dense : interpolate(dense, rows, cols, height, width);
  paint(values, max, scale === "heat" ? heatRamp(theme) : divergingRamp(theme), image.data, scale);
  context.putImageData(image, 0, 0);
}
