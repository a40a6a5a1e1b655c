"use client";
import { ChevronRight, Image as ImageIcon, Type } from "lucide-react";
import type { ReactNode } from "react";
import { type DivergingScale, divergingBar } from "@/components/charts/diverging-bars-marks";
import { ConceptGlyph } from "@/components/search/concept";
import { cn } from "@/components/ui/cn";
import { formatIndex } from "@/lib/core/format";
import type { RankedRow } from "./contributions";
import { formatContribution } from "./format";

const percent = (share: number) => `${(100 * share).toFixed(3)}%`;

/** Columns of the list: names, bars, both numbers. Narrow, the bars have a line of their own. Numbers of many decimals get more room. */
export const columns = (decimals: number) =>
  decimals > 3
    ? "grid-cols-[minmax(0,1fr)_5rem_5rem] @xl:grid-cols-[minmax(9rem,15rem)_minmax(4rem,1fr)_5.5rem_5.5rem] @4xl:grid-cols-[20rem_minmax(4rem,1fr)_5.5rem_5.5rem]"
    : "grid-cols-[minmax(0,1fr)_4rem_4rem] @xl:grid-cols-[minmax(9rem,15rem)_minmax(5rem,1fr)_4.5rem_4.5rem] @4xl:grid-cols-[20rem_minmax(5rem,1fr)_4.5rem_4.5rem]";
export const barCell = "@max-xl:order-last @max-xl:col-span-3";

/** A bar to one side of zero, and a mark where the measurement lies. */
export function Bar({ value, measured = null, scale }: { value: number; measured?: number | null; scale: DivergingScale }) {
  const bar = divergingBar(value, scale);
  return (
    <span aria-hidden className="relative block h-5 w-full">
      <span className="absolute inset-y-0 w-px bg-line" style={{ left: percent(scale.zero) }} />
      <span
        className={cn("absolute inset-y-1 min-w-px rounded-[2px]", bar.sign === "positive" ? "bg-positive" : "bg-negative")}
        style={{ left: percent(bar.from), width: percent(bar.length) }}
      />
      {measured !== null && (
        <span
          className="absolute inset-y-0 w-0.5 -translate-x-1/2 rounded bg-ink shadow-[0_0_0_1px_var(--surface)]"
          style={{ left: percent(scale.x(measured)) }}
        />
      )}
    </span>
  );
}

interface BarRowProps {
  row: RankedRow;
  place: number;
  numLatents: number;
  scale: DivergingScale;
  decimals: number;
  open: boolean;
  /** Under a heading, from which its name is set in; the bars keep their place. */
  inset: boolean;
  /** What was measured is of more than what the bar shows, so that a mark in it would lie. */
  part: boolean;
  /** A measurement of it is still to come. */
  pending: boolean;
  onToggle: () => void;
  onHover: (feature: number | null) => void;
  children: ReactNode;
}

/** One feature of the list: its name, its bar, both numbers; pressed, what can be done with it. */
export function BarRow({ row, place, numLatents, scale, decimals, open, inset, part, pending, onToggle, onHover, children }: BarRowProps) {
  const { feature, label, concept, value, measured, image, text } = row;
  const picture = Math.abs(image) >= Math.abs(text);
  const both = Math.min(Math.abs(image), Math.abs(text)) > 0.1 * Math.max(Math.abs(image), Math.abs(text));
  const from = both ? "picture and words" : picture ? "picture" : "words";
  const name = label ?? "no explanation";
  return (
    <li className={cn("border-line border-b", open && "bg-raised")} data-feature={feature}>
      <button
        type="button"
        aria-expanded={open}
        aria-label={`${place}. ${name}, ${formatIndex(feature)}: ${formatContribution(value, decimals)} estimated${
          measured === null ? "" : `, ${formatContribution(measured, decimals)} measured${part ? " of the whole feature" : ""}`
        }, from the ${from}`}
        onClick={onToggle}
        onPointerEnter={() => onHover(feature)}
        onPointerLeave={() => onHover(null)}
        onFocus={() => onHover(feature)}
        onBlur={() => onHover(null)}
        className={cn(
          "grid min-h-11 w-full items-center gap-x-2 gap-y-0 px-1 py-1 text-left text-sm hover:bg-sunken focus-visible:-outline-offset-2",
          columns(decimals),
        )}
      >
        <span className={cn("flex min-w-0 items-center gap-2", inset && "pl-4")}>
          <ChevronRight className={cn("size-4 shrink-0 text-faint transition-transform duration-100", open && "rotate-90")} aria-hidden />
          <ConceptGlyph concept={concept} />
          <span dir="auto" className={cn("min-w-0 truncate", !label && "text-muted italic")} title={name}>
            {name}
          </span>
          <span className="shrink-0 font-mono text-faint text-xs">{formatIndex(feature, numLatents)}</span>
          <span className="ml-auto flex shrink-0 gap-0.5 text-faint" title={`From the ${from}`}>
            {(picture || both) && <ImageIcon className="size-3.5" aria-hidden />}
            {(!picture || both) && <Type className="size-3.5" aria-hidden />}
          </span>
        </span>
        <span className={barCell}>
          <Bar value={value} measured={part ? null : measured} scale={scale} />
        </span>
        <span className={cn("num text-right", value < 0 ? "text-negative" : "text-positive")}>{formatContribution(value, decimals)}</span>
        <span className={cn("num text-right", part ? "text-muted" : "text-ink")}>
          {measured === null ? <span className="text-faint">{pending ? "…" : "–"}</span> : formatContribution(measured, decimals)}
        </span>
      </button>
      {open && children}
    </li>
  );
}
