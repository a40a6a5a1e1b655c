"use client";
import { ArrowUpRight } from "lucide-react";
import Link from "next/link";
import { memo, useState } from "react";
import type { Firing } from "@/components/image/firing";
import { cn } from "@/components/ui/cn";
import { Term } from "@/components/ui/term";
import { formatActivation, formatCount, formatIndex } from "@/lib/core/format";
import type { Contrast } from "@/lib/core/region-contrast";

export type ContrastRow = Contrast & { feature: Firing };

/** Rows that are shown at first. */
const first = 12;

interface ContrastListProps {
  rows: readonly ContrastRow[];
  numLatents: number;
  hrefOf: (index: number) => string;
  held: number | null;
  onHold: (index: number | null) => void;
  onLook: (index: number | null) => void;
  /** Features that other pictures are looked for with; null where none can be. */
  sought: ReadonlySet<number> | null;
  onSeek: (index: number, on: boolean) => void;
  /** No more can be chosen. */
  full: boolean;
  discreet?: boolean;
  /** What the two means are over, where it is no region. */
  sides?: Sides;
}

interface Sides {
  inside: string;
  outside: string;
  /** One line each. */
  contrastWords: string;
  insideWords: string;
  outsideWords: string;
}

const ofRegion: Sides = {
  inside: "inside",
  outside: "outside",
  contrastWords:
    "Mean activation inside the region less the mean outside it. Each cell counts by the share of it that is painted, zeros included.",
  insideWords: "Mean activation over the painted region, each cell by its painted share.",
  outsideWords: "Mean activation over the rest of the picture.",
};

const columns = "grid grid-cols-3 items-center gap-x-2 sm:grid-cols-[minmax(0,1.4fr)_minmax(2rem,1fr)_repeat(3,4.25rem)]";

/** Features by contrast: looking at a row shows its heat, pressing it holds the heat. Arrow keys walk the rows. */
export function ContrastList({ rows, held, sides = ofRegion, ...props }: ContrastListProps) {
  const [all, setAll] = useState(false);
  const shown = all ? rows : rows.slice(0, first);
  const most = rows[0]?.contrast ?? 1;
  // As many decimals for all, so that columns can be compared: three digits of the strongest.
  const places = most >= 100 ? 0 : most >= 10 ? 1 : most >= 1 ? 2 : 3;
  const stop = shown.some((row) => row.feature.index === held) ? held : (rows[0]?.feature.index ?? null);
  return (
    <div data-contrast-list onPointerLeave={() => props.onLook(null)}>
      <div className="flex items-end pb-1 text-muted text-sm">
        {props.sought && <span className="w-8 shrink-0" />}
        <div className={cn(columns, "min-w-0 grow px-2 text-right")}>
          <span className="text-left max-sm:hidden">feature</span>
          <span className="max-sm:hidden" />
          <Term explain={sides.contrastWords}>contrast</Term>
          <Term explain={sides.insideWords}>{sides.inside}</Term>
          <Term explain={sides.outsideWords}>{sides.outside}</Term>
        </div>
        <span className="w-16 shrink-0 max-sm:w-12" />
      </div>
      <ul aria-label="Features by contrast">
        {shown.map((row) => (
          <Row
            key={row.feature.index}
            row={row}
            share={row.contrast / most}
            places={places}
            sides={sides}
            held={row.feature.index === held}
            stop={row.feature.index === stop}
            {...props}
          />
        ))}
      </ul>
      {rows.length > shown.length && (
        <button type="button" onClick={() => setAll(true)} className="mt-2 rounded-sm px-2 text-accent text-sm underline">
          All {formatCount(rows.length)}
        </button>
      )}
    </div>
  );
}

interface RowProps extends Omit<ContrastListProps, "rows" | "held"> {
  sides: Sides;
  row: ContrastRow;
  share: number;
  places: number;
  held: boolean;
  stop: boolean;
}

const Row = memo(function Row({
  row,
  share,
  places,
  held,
  stop,
  numLatents,
  hrefOf,
  onHold,
  onLook,
  sought,
  onSeek,
  full,
  discreet,
  sides,
}: RowProps) {
  const { feature, contrast, inside, outside } = row;
  const name = feature.label ?? "unexplained";
  const index = formatIndex(feature.index, numLatents);
  const number = (value: number) => value.toFixed(places);
  const chosen = sought?.has(feature.index) ?? false;
  return (
    <li
      className={cn("flex items-center rounded-md", held ? "bg-accent-soft" : "hover:bg-sunken")}
      onPointerEnter={() => onLook(feature.index)}
    >
      {sought && (
        <label className="flex w-8 shrink-0 cursor-pointer items-center justify-center self-stretch">
          <input
            type="checkbox"
            checked={chosen}
            disabled={full && !chosen}
            onChange={(event) => onSeek(feature.index, event.target.checked)}
            aria-label={`Look for ${name}, ${index}, on other pictures`}
            className="size-4 accent-accent"
          />
        </label>
      )}
      <button
        type="button"
        data-row
        tabIndex={stop ? 0 : -1}
        aria-pressed={held}
        aria-label={`${name}, contrast ${formatActivation(contrast)}, ${sides.inside} ${formatActivation(inside)}, ${sides.outside} ${formatActivation(outside)}`}
        onFocus={() => onLook(feature.index)}
        onBlur={() => onLook(null)}
        onClick={() => onHold(held ? null : feature.index)}
        onKeyDown={(event) => {
          const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
          if (!step) return;
          const rows = [...(event.currentTarget.closest("[data-contrast-list]")?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
          const next = rows[rows.indexOf(event.currentTarget) + step];
          if (!next) return;
          event.preventDefault();
          next.focus();
        }}
        className={cn(columns, "min-h-10 min-w-0 grow rounded-md px-2 text-left text-sm max-sm:py-1")}
      >
        <span dir="auto" className={cn("truncate max-sm:col-span-3", !feature.label && "text-muted")} title={name}>
          {name}
        </span>
        <span className="h-1.5 rounded-full bg-line max-sm:hidden">
          <span className="block h-full rounded-full bg-accent" style={{ width: `${Math.max(1, 100 * share)}%` }} />
        </span>
        <span className="num text-right font-medium">{number(contrast)}</span>
        <span className="num text-right text-muted">{number(inside)}</span>
        <span className="num text-right text-muted">{number(outside)}</span>
      </button>
      <Link
        href={hrefOf(feature.index)}
        prefetch={discreet ? false : undefined}
        tabIndex={stop || held ? 0 : -1}
        aria-label={`Open feature ${index}, ${name}`}
        className="num inline-flex w-16 shrink-0 items-center justify-end gap-1 self-stretch rounded-md px-1 font-mono text-accent text-sm hover:underline max-sm:w-12"
      >
        {index}
        <ArrowUpRight className="size-4 max-sm:hidden" aria-hidden />
      </Link>
    </li>
  );
});
