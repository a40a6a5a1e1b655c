"use client";
import { type ReactNode, useMemo, useState } from "react";
import { divergingScale } from "@/components/charts/diverging-bars-marks";
import { ConceptGlyph } from "@/components/search/concept";
import { Button } from "@/components/ui/button";
import { EmptyState } from "@/components/ui/empty-state";
import { formatNoun } from "@/lib/core/format";
import { Bar, BarRow } from "./bar-row";
import { groupByConcept, type RankedRow } from "./contributions";
import { formatContribution } from "./format";

interface BarListProps {
  rows: readonly RankedRow[];
  grouped: boolean;
  numLatents: number;
  decimals: number;
  held: number | null;
  /** Features whose measurement is still to come. */
  pending: ReadonlySet<number>;
  onHold: (feature: number | null) => void;
  onHover: (feature: number | null) => void;
  detail: (row: RankedRow) => ReactNode;
}

const page = 20;

/** Features by what they contribute, with bars to both sides of zero on one scale. */
export function BarList({ rows, grouped, numLatents, decimals, held, pending, onHold, onHover, detail }: BarListProps) {
  const [count, setCount] = useState(page);
  // The one that is held is in the list, however far down.
  const shownCount = Math.max(count, rows.findIndex(({ feature }) => feature === held) + 1);
  const shown = useMemo(() => rows.slice(0, shownCount), [rows, shownCount]);
  const groups = useMemo(() => (grouped ? groupByConcept(rows) : null), [rows, grouped]);
  const scale = useMemo(
    () => divergingScale(shown.flatMap(({ value, measured }) => [value, ...(measured === null ? [] : [measured])])),
    [shown],
  );
  const groupScale = useMemo(() => divergingScale((groups ?? []).map(({ value }) => value)), [groups]);
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
      pending={pending.has(row.feature)}
      onToggle={() => onHold(held === row.feature ? null : row.feature)}
      onHover={onHover}
    >
      {held === row.feature && detail(row)}
    </BarRow>
  );
  const heads = (
    <div
      aria-hidden
      className="grid grid-cols-[minmax(0,1fr)_4rem_4rem] gap-x-2 px-1 pb-1 text-muted text-xs @xl:grid-cols-[minmax(9rem,15rem)_minmax(5rem,1fr)_4.5rem_4.5rem]"
    >
      <span>Feature</span>
      <span className="flex justify-between max-@xl:hidden">
        <span>← against</span>
        <span>for →</span>
      </span>
      <span className="text-right">estimated</span>
      <span className="text-right">measured</span>
    </div>
  );
  if (groups) {
    return (
      <div>
        {heads}
        {groups.map(({ concept, value, rows: members }) => (
          <details
            key={concept ?? "none"}
            open={members.some(({ feature }) => feature === held) || undefined}
            className="border-line border-b"
          >
            <summary className="grid min-h-11 cursor-pointer list-none grid-cols-[minmax(0,1fr)_4rem_4rem] items-center gap-x-2 px-1 py-1 text-sm hover:bg-sunken @xl:grid-cols-[minmax(9rem,15rem)_minmax(5rem,1fr)_4.5rem_4.5rem] [&::-webkit-details-marker]:hidden">
              <span className="flex min-w-0 items-center gap-2 font-medium">
                <ConceptGlyph concept={concept} />
                {concept ?? "unexplained"}
                <span className="num font-normal text-muted text-xs">{formatNoun(members.length, "feature")}</span>
              </span>
              <span className="max-@xl:order-last max-@xl:col-span-3">
                <Bar value={value} scale={groupScale} />
              </span>
              <span className={value < 0 ? "num text-right text-negative" : "num text-right text-positive"}>
                {formatContribution(value, decimals)}
              </span>
              <span />
            </summary>
            <ol className="pl-3">{members.slice(0, page).map((row) => rowOf(row, rows.indexOf(row) + 1))}</ol>
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
      <ol aria-label="Features by contribution">{shown.map((row, i) => rowOf(row, i + 1))}</ol>
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
