"use client";
import Link from "next/link";
import { useState } from "react";
import { cn } from "@/components/ui/cn";
import { formatActivation, formatCount, formatIndex } from "@/lib/core/format";
import type { Difference } from "./difference";

/** Rows that are shown at first. */
const first = 12;

interface DifferenceListProps {
  title: string;
  items: readonly Difference[];
  /** The greatest |difference| of all lists: a full bar. */
  most: number;
  decimals: number;
  numLatents: number;
  hrefOf: (index: number) => string;
  held: number | null;
  onHold: (index: number | null) => void;
  onLook: (index: number | null) => void;
}

/** Features of one group by how much the pictures differ: looking at a row shows its heat on both, pressing it holds it. Arrow keys walk the rows. */
export function DifferenceList({ title, items, most, decimals, numLatents, hrefOf, held, onHold, onLook }: DifferenceListProps) {
  const [all, setAll] = useState(false);
  const shown = all ? items : items.slice(0, first);
  const stop = shown.some(({ index }) => index === held) ? held : (shown[0]?.index ?? null);
  return (
    <section aria-label={title} data-differences className="min-w-0" onPointerLeave={() => onLook(null)}>
      <h2 className="flex items-baseline gap-2 pb-1 font-semibold text-sm">
        {title} <span className="num font-normal text-muted">{formatCount(items.length)}</span>
      </h2>
      {items.length === 0 ? (
        <p className="px-2 text-muted text-sm">None.</p>
      ) : (
        <>
          <div aria-hidden className="flex gap-2 px-2 text-muted text-sm">
            <span className="grow" />
            <span className="w-14 text-right">first</span>
            <span className="w-14 text-right">second</span>
            <span className="w-12" />
          </div>
          <ul>
            {shown.map((item) => {
              const { index, values, difference } = item;
              const name = (item.first ?? item.second)?.label ?? "unexplained";
              const number = formatIndex(index, numLatents);
              return (
                <li
                  key={index}
                  onPointerEnter={() => onLook(index)}
                  className={cn("flex items-stretch rounded-md", held === index ? "bg-accent-soft" : "hover:bg-sunken")}
                >
                  <button
                    type="button"
                    data-row
                    tabIndex={stop === index ? 0 : -1}
                    aria-pressed={held === index}
                    aria-label={`${name}, first ${formatActivation(values[0])}, second ${formatActivation(values[1])}`}
                    onFocus={() => onLook(index)}
                    onBlur={() => onLook(null)}
                    onClick={() => onHold(held === index ? null : index)}
                    onKeyDown={(event) => {
                      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
                      if (!step) return;
                      const rows = [
                        ...(event.currentTarget.closest("[data-differences]")?.querySelectorAll<HTMLElement>("[data-row]") ?? []),
                      ];
                      const next = rows[rows.indexOf(event.currentTarget) + step];
                      if (!next) return;
                      event.preventDefault();
                      next.focus();
                    }}
                    className="flex min-h-10 min-w-0 grow items-center gap-2 rounded-md px-2 text-left text-sm"
                  >
                    <span className="min-w-0 grow">
                      <span dir="auto" className={cn("block truncate", name === "unexplained" && "text-muted")} title={name}>
                        {name}
                      </span>
                      <Bar share={difference / most} />
                    </span>
                    {values.map((value, i) => (
                      <span key={i === 0 ? "first" : "second"} className={cn("num w-14 shrink-0 text-right", value === 0 && "text-muted")}>
                        {value.toFixed(decimals)}
                      </span>
                    ))}
                  </button>
                  <Link
                    href={hrefOf(index)}
                    prefetch={false}
                    tabIndex={stop === index || held === index ? 0 : -1}
                    aria-label={`Open feature ${number}, ${name}`}
                    className="num inline-flex w-12 shrink-0 items-center justify-end rounded-md px-1 font-mono text-accent text-sm hover:underline"
                  >
                    {number}
                  </Link>
                </li>
              );
            })}
          </ul>
          {items.length > shown.length && (
            <button type="button" onClick={() => setAll(true)} className="mt-2 rounded-sm px-2 text-accent text-sm underline">
              All {formatCount(items.length)}
            </button>
          )}
        </>
      )}
    </section>
  );
}

/** From the middle: left where the first picture has more, right where the second has, as the pictures stand. */
function Bar({ share }: { share: number }) {
  const width = `${Math.max(1, 50 * Math.min(1, Math.abs(share)))}%`;
  return (
    <span className="relative mt-1 block h-1 rounded-full bg-line">
      <span
        className={cn("absolute inset-y-0 rounded-full", share > 0 ? "right-1/2 bg-positive" : "left-1/2 bg-negative")}
        style={{ width }}
      />
    </span>
  );
}
