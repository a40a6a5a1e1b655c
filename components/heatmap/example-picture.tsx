"use client";
import type { ImageExample } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { HeatmapCanvas, type HeatmapCanvasProps } from "./heatmap-canvas";

interface ExamplePictureProps extends Omit<HeatmapCanvasProps, "src" | "alt" | "map" | "rows" | "cols" | "max"> {
  example: ImageExample;
  /** The value at the end of the ramp: the feature's maximum, where it is known. */
  max: number | null;
}

/** One of a feature's stored pictures beside text that says what it is. */
export function ExamplePicture({ example, max, ...look }: ExamplePictureProps) {
  return (
    <HeatmapCanvas
      src={routes.api.image(example.image)}
      alt=""
      map={example.map}
      rows={example.rows}
      cols={example.cols}
      max={max ?? example.peak}
      {...look}
    />
  );
}
