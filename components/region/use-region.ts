"use client";
import { useEffect, useMemo, useReducer, useRef, useState } from "react";
import { isTaken, useKeys } from "@/components/shell/use-keys";
import { coverage, decodeRegion, emptyRegion, encodeRegion, isEmpty, longestCode, type Region, type Shape } from "@/lib/core/region";
import { changeRegion, startHistory } from "./region-history";

export const tools = ["brush", "box", "lasso"] as const;
export type Tool = (typeof tools)[number];

/** Radii of the brush, in cells. */
export const brushRange = { min: 0.5, max: 4, step: 0.5 };

export interface Painting {
  region: Region;
  empty: boolean;
  /** For an address; empty for an empty region and for one that is too ragged for any. */
  code: string;
  /** The region has no code that an address could carry. */
  tooRagged: boolean;
  /** Share of each cell that is covered. */
  cover: Float32Array;
  tool: Tool;
  setTool: (tool: Tool) => void;
  erase: boolean;
  setErase: (erase: boolean) => void;
  /** Of the brush, in cells. */
  radius: number;
  setRadius: (radius: number) => void;
  paint: (shape: Shape, erase?: boolean) => void;
  clear: () => void;
  undo: () => void;
  redo: () => void;
  canUndo: boolean;
  canRedo: boolean;
}

function regionOf(code: string, rows: number, cols: number): Region {
  const found = decodeRegion(code);
  return found && found.rows === rows && found.cols === cols ? found : emptyRegion(rows, cols);
}

interface UseRegionOptions {
  rows: number;
  cols: number;
  /** Where it starts: what an address says. What is no region of this grid is none. */
  start: string;
  /** The region's code after every stroke. */
  onCode: (code: string) => void;
  /** Whether the keys of painting act on the page. */
  enabled: boolean;
  /** The tool to begin with. */
  first?: Tool;
}

/** A region that is being painted, with its tools, its past and its keys: B, X, L, E, [ and ], Ctrl+Z, Ctrl+Shift+Z. */
export function useRegion({ rows, cols, start, onCode, enabled, first = "brush" }: UseRegionOptions): Painting {
  const [history, change] = useReducer(changeRegion, null, () => startHistory(regionOf(start, rows, cols)));
  const [tool, setTool] = useState<Tool>(first);
  const [erase, setErase] = useState(false);
  const [radius, setRadius] = useState(1);
  // The grid is known for certain once the picture was looked at.
  if (history.now.rows !== rows || history.now.cols !== cols) change({ do: "start", region: regionOf(start, rows, cols) });
  const region = history.now;
  const encoded = useMemo(() => encodeRegion(region), [region]);
  const code = encoded.length > longestCode ? "" : encoded;
  const cover = useMemo(() => coverage(region), [region]);
  const say = useRef(onCode);
  say.current = onCode;
  const said = useRef(code);
  useEffect(() => {
    if (said.current === code) return;
    said.current = code;
    say.current(code);
  }, [code]);

  // Undo and redo by keyboard: the document's key presses are outside React.
  useEffect(() => {
    if (!enabled) return;
    const listen = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || event.defaultPrevented || isTaken("z", event.target)) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      change({ do: key === "y" || event.shiftKey ? "redo" : "undo" });
    };
    document.addEventListener("keydown", listen);
    return () => document.removeEventListener("keydown", listen);
  }, [enabled]);
  const resize = (by: number) => setRadius((now) => Math.max(brushRange.min, Math.min(brushRange.max, now + by)));
  useKeys(
    {
      b: () => setTool("brush"),
      x: () => setTool("box"),
      l: () => setTool("lasso"),
      e: () => setErase((now) => !now),
      "[": () => resize(-brushRange.step),
      "]": () => resize(brushRange.step),
    },
    enabled,
  );

  return {
    region,
    empty: isEmpty(region),
    code,
    tooRagged: encoded.length > longestCode,
    cover,
    tool,
    setTool,
    erase,
    setErase,
    radius,
    setRadius,
    paint: (shape, takes = erase) => change({ do: "paint", shape, erase: takes }),
    clear: () => change({ do: "clear" }),
    undo: () => change({ do: "undo" }),
    redo: () => change({ do: "redo" }),
    canUndo: history.past.length > 0,
    canRedo: history.future.length > 0,
  };
}
