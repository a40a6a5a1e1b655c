"use client";
import { brushX, type D3BrushEvent, select } from "d3";
import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import { RangeSlider } from "@/components/ui/slider";
import { formatCount, formatNoun } from "@/lib/core/format";
import { binsToRange, type Range, rangeToBins } from "./bin-scale";
import { histogramBars } from "./histogram-marks";

interface HistogramBrushProps {
  /** Name of the metric, for the slider's thumbs. */
  name: string;
  /** The visible heading. */
  heading: ReactNode;
  edges: readonly number[];
  counts: readonly number[];
  /** How many have no value. */
  missing: number;
  value: Range | undefined;
  onChange: (range: Range | undefined) => void;
  format: (value: number) => string;
}

const same = (a: Range | undefined, b: Range | undefined) => a?.min === b?.min && a?.max === b?.max;

const width = 240;
const height = 40;

/** A histogram on which a range is brushed with the pointer, and by its axis, a slider with two thumbs, with the keyboard. */
export function HistogramBrush({ name, heading, edges, counts, missing, value, onChange, format }: HistogramBrushProps) {
  const headingId = useId();
  const overlay = useRef<SVGGElement>(null);
  const chosen = rangeToBins(edges, value);
  // While a brush or a thumb is dragged; committed when it is let go.
  const [dragged, setDragged] = useState<[number, number] | null>(null);
  const [low, high] = dragged ?? chosen;
  const last = edges.length - 1;
  const bars = useMemo(() => histogramBars(counts, width, height), [counts]);
  const commit = (bins: [number, number]) => {
    setDragged(null);
    onChange(binsToRange(edges, bins));
  };
  const latest = useRef({ commit, setDragged, last });
  latest.current = { commit, setDragged, last };

  // d3's brush owns this group of the SVG: it reads the pointer; what is drawn follows from React's state.
  useEffect(() => {
    if (!overlay.current) return;
    const group = select(overlay.current);
    const brush = brushX<unknown>().extent([
      [0, 0],
      [width, height],
    ]);
    const bins = (selection: [number, number]): [number, number] => {
      const { last } = latest.current;
      const from = Math.max(0, Math.min(last - 1, Math.floor((selection[0] / width) * last)));
      return [from, Math.max(from + 1, Math.min(last, Math.ceil((selection[1] / width) * last)))];
    };
    brush.on("brush", (event: D3BrushEvent<unknown>) => {
      if (event.sourceEvent && event.selection) latest.current.setDragged(bins(event.selection as [number, number]));
    });
    brush.on("end", (event: D3BrushEvent<unknown>) => {
      if (!event.sourceEvent) return;
      if (event.selection) latest.current.commit(bins(event.selection as [number, number]));
      else latest.current.commit([0, latest.current.last]);
      group.call(brush.move, null);
    });
    group.call(brush);
    group.selectAll(".selection").attr("fill", "var(--accent)").attr("fill-opacity", 0.12).attr("stroke", "none");
    return () => {
      brush.on("brush", null).on("end", null);
      group.selectAll("*").remove();
    };
  }, []);

  const whole = low === 0 && high === last;
  // What the filter says, which an address may put between two edges; its bins are then more than what passes.
  const [least, greatest] = dragged ? [edges[low], edges[high]] : [value?.min ?? edges[low], value?.max ?? edges[high]];
  const open = whole && (least as number) <= (edges[0] as number) && (greatest as number) >= (edges[last] as number);
  const exact = dragged !== null || same(value, binsToRange(edges, chosen));
  const inside = counts.slice(low, high).reduce((sum, count) => sum + count, 0);
  return (
    <section aria-labelledby={headingId}>
      <div className="flex items-baseline justify-between gap-2 text-sm">
        <h3 id={headingId}>{heading}</h3>
        <span className="num text-muted text-xs">
          {open
            ? "any"
            : least === edges[0]
              ? `≤ ${format(greatest as number)}`
              : greatest === edges[last]
                ? `≥ ${format(least as number)}`
                : `${format(least as number)} to ${format(greatest as number)}`}
        </span>
      </div>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" className="mt-1 block h-10 w-full cursor-crosshair" aria-hidden>
        {bars.map((bar, i) => (
          <rect
            key={edges[i]}
            x={bar.x}
            y={bar.y}
            width={bar.width}
            height={bar.height}
            className={i >= low && i < high ? (whole ? "fill-faint/50" : "fill-accent") : "fill-line"}
          />
        ))}
        <g ref={overlay} />
      </svg>
      <RangeSlider
        labels={[`Least ${name}`, `Greatest ${name}`]}
        min={0}
        max={last}
        step={1}
        value={[low, high]}
        onChange={setDragged}
        onCommit={commit}
        format={(bin) => format(edges[Math.round(bin)] as number)}
        className="-mt-2.5"
      />
      <p className="num -mt-1 flex justify-between gap-2 whitespace-nowrap text-faint text-xs">
        <span>{format(edges[0] as number)}</span>
        <span className="text-muted">
          {open ? (missing > 0 ? `${formatCount(missing)} not measured` : "") : exact ? formatNoun(inside, "feature") : ""}
        </span>
        <span>{format(edges[last] as number)}</span>
      </p>
    </section>
  );
}
