"use client";
import { BoxSelect, Brush, Eraser, Lasso, Redo2, Trash2, Undo2 } from "lucide-react";
import { IconButton } from "@/components/ui/icon-button";
import { Segmented } from "@/components/ui/segmented";
import { Slider } from "@/components/ui/slider";
import { brushRange, type Painting, type Tool } from "./use-region";

const names: Record<Tool, string> = { brush: "Brush (B)", box: "Box (X)", lasso: "Lasso (L)" };

/** What one paints with, and the way back. */
export function RegionTools({ painting }: { painting: Painting }) {
  const { tool, erase, radius } = painting;
  return (
    <div role="toolbar" aria-label="Painting" className="flex w-full flex-wrap items-center gap-x-2 gap-y-1">
      <Segmented<Tool>
        label="Paint with"
        value={tool}
        onChange={painting.setTool}
        size="md"
        options={[
          { value: "brush", name: names.brush, icon: <Brush aria-hidden /> },
          { value: "box", name: names.box, icon: <BoxSelect aria-hidden /> },
          { value: "lasso", name: names.lasso, icon: <Lasso aria-hidden /> },
        ]}
      />
      <IconButton label="Erase" shortcut="E" pressed={erase} onClick={() => painting.setErase(!erase)}>
        <Eraser aria-hidden />
      </IconButton>
      <div className="flex">
        <IconButton label="Undo" shortcut="Ctrl+Z" disabled={!painting.canUndo} onClick={painting.undo}>
          <Undo2 aria-hidden />
        </IconButton>
        <IconButton label="Redo" shortcut="Ctrl+Shift+Z" disabled={!painting.canRedo} onClick={painting.redo}>
          <Redo2 aria-hidden />
        </IconButton>
        <IconButton label="Clear" disabled={painting.empty} onClick={painting.clear}>
          <Trash2 aria-hidden />
        </IconButton>
      </div>
      <span className={tool === "brush" ? "inline-flex min-w-40 grow basis-40 items-center gap-2 text-sm" : "hidden"}>
        <span className="text-muted">Size</span>
        <Slider
          label="Size of the brush"
          {...brushRange}
          value={radius}
          onChange={painting.setRadius}
          format={(value) => `${2 * value} cells wide`}
          className="max-w-40"
        />
        <span className="num text-muted">{2 * radius} cells</span>
      </span>
    </div>
  );
}
