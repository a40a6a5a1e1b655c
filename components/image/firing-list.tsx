"use client";
import { ArrowUpRight } from "lucide-react";
import Link from "next/link";
import { memo } from "react";
import { ConceptGlyph } from "@/components/search/concept";
import { cn } from "@/components/ui/cn";
import { alignDecimals, decimalsOf, formatActivation, formatCount, formatIndex } from "@/lib/core/format";
import { conceptClasses } from "@/lib/core/records";
import { type FiringGroup, type FiringItem, strongest } from "./firing";

interface FiringListProps {
  groups: FiringGroup[];
  numLatents: number;
  hrefOf: (index: number) => string;
  /** The feature whose heat stays; null for none. */
  held: number | null;
  onHold: (index: number | null) => void;
  /** The feature under the pointer or in focus. */
  onLook: (index: number | null) => void;
  /** The server is asked for no feature's page until somebody goes there: it would learn what fires. */
  discreet?: boolean;
}

/**
 * What fires, group by group. Looking at a row (pointer or focus) shows its heat, pressing it holds the heat. One tab stop: arrow keys walk
 * the rows, and the row in focus has its link as the next stop.
 */
export function FiringList({ groups, numLatents, hrefOf, held, onHold, onLook, discreet = false }: FiringListProps) {
  const longest = strongest(groups);
  const places = Math.max(0, ...groups.flatMap((group) => group.items.map((item) => decimalsOf(formatActivation(item.value)))));
  const first = groups.find((group) => group.key !== "always_on")?.items[0]?.feature.index ?? groups[0]?.items[0]?.feature.index;
  const listed = groups.some((group) => group.items.some((item) => item.feature.index === held));
  const stop = listed ? held : first;
  const rowsOf = (group: FiringGroup) =>
    group.items.map((item) => (
      <Row
        key={item.feature.index}
        item={item}
        share={item.value / longest}
        places={places}
        numLatents={numLatents}
        href={hrefOf(item.feature.index)}
        held={item.feature.index === held}
        stop={item.feature.index === stop}
        onHold={onHold}
        onLook={onLook}
        discreet={discreet}
      />
    ));

  return (
    <div data-firing-list onPointerLeave={() => onLook(null)}>
      {groups.map((group) =>
        group.key === "always_on" ? (
          <details key={group.key} className="pt-4">
            <summary className="w-fit cursor-pointer rounded-sm py-1 font-semibold text-sm">
              <GroupTitle group={group} />
            </summary>
            <p className="pb-1 text-muted text-sm">They fire nearly everywhere and tell little about this picture.</p>
            <ul>{rowsOf(group)}</ul>
          </details>
        ) : (
          <section key={group.key} aria-label={group.name} className="pt-4 first:pt-0">
            <h2 className="flex items-center gap-2 py-1 font-semibold text-sm">
              <GroupTitle group={group} />
            </h2>
            <ul>{rowsOf(group)}</ul>
          </section>
        ),
      )}
    </div>
  );
}

function GroupTitle({ group }: { group: FiringGroup }) {
  const concept = conceptClasses.find((name) => name === group.key) ?? null;
  return (
    <>
      {concept && <ConceptGlyph concept={concept} />}
      {group.name} <span className="num font-normal text-muted">{formatCount(group.items.length)}</span>
    </>
  );
}

/** The row that a key leads to from `row`, over all open groups; null when the key leads nowhere. */
function rowFrom(row: HTMLElement, key: string): HTMLElement | null {
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (!step) return null;
  const rows = [...(row.closest("[data-firing-list]")?.querySelectorAll<HTMLElement>("[data-row]") ?? [])];
  const open = rows.filter((candidate) => candidate.offsetParent !== null);
  return open[open.indexOf(row) + step] ?? null;
}

interface RowProps extends Pick<FiringListProps, "numLatents" | "onHold" | "onLook" | "discreet"> {
  item: FiringItem;
  share: number;
  /** Decimals of the column of values. */
  places: number;
  href: string;
  held: boolean;
  stop: boolean;
}

const Row = memo(function Row({ item, share, places, numLatents, href, held, stop, onHold, onLook, discreet }: RowProps) {
  const { feature, value } = item;
  const name = feature.label ?? "unexplained";
  const index = formatIndex(feature.index, numLatents);
  return (
    <li
      className={cn("flex items-stretch rounded-md", held ? "bg-accent-soft" : "hover:bg-sunken")}
      onPointerEnter={() => onLook(feature.index)}
    >
      <button
        type="button"
        data-row
        tabIndex={stop ? 0 : -1}
        aria-pressed={held}
        aria-label={`${name}, ${formatActivation(value)}`}
        onFocus={() => onLook(feature.index)}
        onBlur={() => onLook(null)}
        onClick={() => onHold(held ? null : feature.index)}
        onKeyDown={(event) => {
          const next = rowFrom(event.currentTarget, event.key);
          if (!next) return;
          event.preventDefault();
          next.focus();
        }}
        className="grid min-h-10 min-w-0 grow grid-cols-[minmax(0,1.4fr)_minmax(2.5rem,1fr)_4rem] items-center gap-2 rounded-md px-2 sm:gap-3 text-left text-sm"
      >
        <span dir="auto" className={cn("truncate", !feature.label && "text-muted")} title={name}>
          {name}
        </span>
        <span className="h-1.5 rounded-full bg-line">
          <span className="block h-full rounded-full bg-accent" style={{ width: `${Math.max(1, 100 * share)}%` }} />
        </span>
        <span className="num text-right">{alignDecimals(formatActivation(value), places)}</span>
      </button>
      <Link
        href={href}
        prefetch={discreet ? false : undefined}
        tabIndex={stop || held ? 0 : -1}
        aria-label={`Open feature ${index}, ${name}`}
        className="num inline-flex items-center gap-1 rounded-md px-2 font-mono text-accent text-sm hover:underline"
      >
        {index}
        <ArrowUpRight className="size-4 max-sm:hidden" aria-hidden />
      </Link>
    </li>
  );
});
