"use client";
import { ChevronRight } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useMemo, useState } from "react";
import { divergingScale } from "@/components/charts/diverging-bars-marks";
import { ConceptGlyph } from "@/components/search/concept";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { EmptyState } from "@/components/ui/empty-state";
import { formatNoun } from "@/lib/core/format";
import { Bar, BarRow, barCell, columns } from "./bar-row";
import { groupByConcept, type RankedRow } from "./contributions";
import { formatContribution } from "./format";

interface BarListProps {
  rows: readonly RankedRow[];
  grouped: boolean;
  numLatents: number;
  decimals: number;
  /** The list shows part of each feature's contribution, so that what was measured is of more than its bar. */
  part: boolean;
  held: number | null;
  /** Features whose measurement is still to come. */
  pending: ReadonlySet<number>;
  onHold: (feature: number | null) => void;
  onHover: (feature: number | null) => void;
  detail: (row: RankedRow) => ReactNode;
}

const page = 20;

/** ↑ and ↓, Home and End go along the rows' own buttons (and the headings of groups), which Tab reaches too. */
function moveAlong(event: KeyboardEvent<HTMLElement>) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-feature] > button, summary")].filter((one) => one.offsetParent);
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = at < 0 ? undefined : { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  all[Math.min(all.length - 1, Math.max(0, next))]?.focus();
}

/** Features by what they contribute, with bars to both sides of zero on one scale. */
export function BarList({ rows, grouped, numLatents, decimals, part, held, pending, onHold, onHover, detail }: BarListProps) {
  const [count, setCount] = useState(page);
  // The one that is held is in the list, however far down.
  const shownCount = Math.max(count, rows.findIndex(({ feature }) => feature === held) + 1);
  const shown = useMemo(() => rows.slice(0, shownCount), [rows, shownCount]);
  const groups = useMemo(() => (grouped ? groupByConcept(rows) : null), [rows, grouped]);
  const scale = useMemo(() => {
    const all = shown.flatMap(({ value, measured }) => [value, ...(measured === null || part ? [] : [measured])]);
    return divergingScale([...all, ...(groups ?? []).map(({ value }) => value)]);
  }, [shown, groups, part]);
  if (rows.length === 0) {
    return (
      <EmptyState title="Nothing contributes here">
        No feature that is shown contributes at these positions. Widen the filter above.
      </EmptyState>
    );
  }
  const rowOf = (row: RankedRow, place: number) => (
    <BarRow
      key={row.feature}
      row={row}
      place={place}
      numLatents={numLatents}
      scale={scale}
      decimals={decimals}
      open={held === row.feature}
      inset={grouped}
      part={part}
      pending={pending.has(row.feature)}
      onToggle={() => onHold(held === row.feature ? null : row.feature)}
      onHover={onHover}
    >
      {held === row.feature && detail(row)}
    </BarRow>
  );
  const heads = (
    <div aria-hidden className={cn("grid gap-x-2 px-1 pb-1 text-muted text-xs", columns(decimals))}>
      <span>Feature</span>
      <span className="flex justify-between @max-xl:hidden">
        <span>← against</span>
        <span>for →</span>
      </span>
      <span className="text-right">estimated</span>
      <span className="text-right">measured</span>
    </div>
  );
  if (groups) {
    return (
      // biome-ignore lint/a11y/noStaticElementInteractions: keys go along the buttons in it
      <div onKeyDown={moveAlong}>
        {heads}
        {groups.map(({ concept, value, rows: members }) => (
          <details
            key={concept ?? "none"}
            open={members.some(({ feature }) => feature === held) || undefined}
            className="group border-line border-b"
          >
            <summary
              className={cn(
                "grid min-h-11 cursor-pointer list-none items-center gap-x-2 px-1 py-1 text-sm hover:bg-sunken [&::-webkit-details-marker]:hidden",
                columns(decimals),
              )}
            >
              <span className="flex min-w-0 items-center gap-2 font-medium">
                <ChevronRight className="size-4 shrink-0 text-faint transition-transform duration-100 group-open:rotate-90" aria-hidden />
                <ConceptGlyph concept={concept} />
                {concept ?? "unexplained"}
                <span className="num font-normal text-muted text-xs">{formatNoun(members.length, "feature")}</span>
              </span>
              <span className={barCell}>
                <Bar value={value} scale={scale} />
              </span>
              <span className={value < 0 ? "num text-right text-negative" : "num text-right text-positive"}>
                {formatContribution(value, decimals)}
              </span>
              <span />
            </summary>
            <ol aria-label={`Features of ${concept ?? "no explanation"}`}>
              {members.slice(0, page).map((row) => rowOf(row, rows.indexOf(row) + 1))}
            </ol>
            {members.length > page && (
              <p className="px-4 py-2 text-muted text-sm">and {formatNoun(members.length - page, "smaller one")}</p>
            )}
          </details>
        ))}
      </div>
    );
  }
  return (
    <div>
      {heads}
      <ol aria-label="Features by contribution" onKeyDown={moveAlong}>
        {shown.map((row, i) => rowOf(row, i + 1))}
      </ol>
      {shown.length < rows.length && (
        <div className="py-3 text-center">
          <Button size="sm" onClick={() => setCount(shownCount + 3 * page)}>
            More of {formatNoun(rows.length, "feature")}
          </Button>
        </div>
      )}
    </div>
  );
}
