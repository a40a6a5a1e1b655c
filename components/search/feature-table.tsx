"use client";
import { ArrowDown, ArrowUp } from "lucide-react";
import Link from "next/link";
import { useRef } from "react";
import { ExamplePicture } from "@/components/heatmap/example-picture";
import { cn } from "@/components/ui/cn";
import { Skeleton } from "@/components/ui/skeleton";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { alignDecimals, formatIndex } from "@/lib/core/format";
import type { FeatureCard as Card, Dictionary, MetricKey, SortKey } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { ConceptGlyph } from "./concept";
import { FeatureLabel } from "./feature-label";
import { HealthGlyphs } from "./health";
import { MatchReason } from "./match-reason";
import { metrics } from "./metrics";
import { type FeatureListProps, useFeatureList } from "./use-feature-list";
import { useMeasured } from "./use-measured";

const columnOrder: readonly MetricKey[] = [
  "iou",
  "steer",
  "clip",
  "consistency",
  "detection",
  "fuzzing",
  "density",
  "text_density",
  "image_share",
  "max_activation",
  "images",
];
/** Columns that narrow windows leave out; the rest scroll sideways. */
const wideOnly = new Set<MetricKey>(["text_density", "images"]);

interface FeatureTableProps extends FeatureListProps {
  query: FeatureQuery;
  setQuery: (change: Partial<FeatureQuery>) => void;
}

function measureTable(container: HTMLElement) {
  const row = container.querySelector<HTMLElement>("tbody tr[data-row]");
  return row ? { columns: 1, rowHeight: row.getBoundingClientRect().height } : null;
}

export function FeatureTable({ compact, heat, from, query, setQuery, searching, ...list }: FeatureTableProps) {
  const { pages, dictionary } = list;
  const container = useRef<HTMLTableSectionElement>(null);
  const { shown, blanks, above, below, pictureOf, setActive } = useFeatureList({
    ...list,
    container,
    measure: measureTable,
    layoutKey: `${compact}`,
    serverItems: 40,
  });
  const measured = useMeasured(query.dictionary, query.version);
  const columns = columnOrder.filter((key) => measured.includes(key));
  const blankColumns = columns.length + 4;
  return (
    <div
      className={cn("relative -mx-4 overflow-x-auto px-4 transition-opacity duration-100 sm:mx-0 sm:px-0", pages.stale && "opacity-60")}
      aria-busy={pages.stale}
    >
      <table className="w-full min-w-[44rem] border-collapse text-sm">
        <thead>
          <tr className="text-left text-muted">
            <th scope="col" className="w-14 py-2 font-normal">
              <span className="sr-only">Picture</span>
            </th>
            <SortHeader
              name="Index"
              sort="index"
              query={query}
              setQuery={setQuery}
              title="The feature's index in its dictionary."
              className="pl-3"
            />
            <th scope="col" className="py-2 pr-4 font-normal">
              Label
            </th>
            {columns.map((key) => (
              <SortHeader
                key={key}
                name={metrics[key].short}
                sort={key}
                query={query}
                setQuery={setQuery}
                title={metrics[key].explain}
                className={cn("text-right", wideOnly.has(key) && "max-xl:hidden")}
                right
              />
            ))}
            <th scope="col" className="py-2 pl-4 font-normal">
              <span className="max-xl:sr-only">Health</span>
            </th>
          </tr>
        </thead>
        <tbody ref={container} className="[overflow-anchor:none]">
          <tr aria-hidden style={{ height: above }} />
          {shown.map((card) => (
            <TableRow
              key={card.index}
              card={card}
              dictionary={dictionary}
              version={query.version}
              columns={columns}
              searching={searching}
              from={from}
              heat={heat}
              compact={compact}
              picture={pictureOf(card.index)}
              onFocus={setActive}
            />
          ))}
          {Array.from({ length: blanks }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: blanks have no identity
            <tr key={`blank-${i}`} aria-hidden className={cn("border-line border-t", compact ? "h-10" : "h-14")}>
              <td colSpan={blankColumns}>
                <Skeleton className="h-3 w-2/3" />
              </td>
            </tr>
          ))}
          <tr aria-hidden style={{ height: below }} />
        </tbody>
      </table>
    </div>
  );
}

interface TableRowProps {
  card: Card;
  dictionary: Pick<Dictionary, "ref" | "numLatents">;
  /** Where the list is not of the latest. */
  version: string | undefined;
  columns: readonly MetricKey[];
  searching: boolean;
  from: string;
  heat: boolean;
  compact: boolean;
  picture: number;
  onFocus: (index: number) => void;
}

function TableRow({ card, dictionary, version, columns, searching, from, heat, compact, picture, onFocus }: TableRowProps) {
  const example = card.top[picture] ?? card.top[0];
  const side = compact ? "size-8" : "size-12";
  return (
    <tr data-row className={cn("relative border-line border-t hover:bg-raised has-[a:focus-visible]:bg-raised", compact ? "h-10" : "h-14")}>
      <td>
        {example ? (
          <ExamplePicture example={example} max={card.maxActivation} show={heat} size={48} className={cn("rounded bg-sunken", side)} />
        ) : (
          <div className={cn("rounded bg-sunken", side)} />
        )}
      </td>
      <td className="pr-4 pl-3 font-mono text-muted">{formatIndex(card.index, dictionary.numLatents)}</td>
      <td className="max-w-0 w-full pr-4">
        <Link
          href={routes.feature(dictionary.ref, card.index, { v: version, from: from || undefined })}
          prefetch={false}
          data-feature={card.index}
          onFocus={() => onFocus(card.index)}
          className="flex items-center gap-2 after:absolute after:inset-0"
        >
          <ConceptGlyph concept={card.concept} />
          <FeatureLabel card={card} className="truncate" />
        </Link>
        {searching && <MatchReason card={card} className="pl-6 leading-4" />}
      </td>
      {columns.map((key) => (
        <td key={key} className={cn("num whitespace-nowrap pl-4 text-right", wideOnly.has(key) && "max-xl:hidden")}>
          {alignDecimals(metrics[key].format(metrics[key].of(card)), metrics[key].places)}
        </td>
      ))}
      <td className="pl-4">
        <span className="relative z-10 flex gap-1">
          <HealthGlyphs card={card} />
        </span>
      </td>
    </tr>
  );
}

interface SortHeaderProps {
  name: string;
  sort: SortKey;
  query: FeatureQuery;
  setQuery: (change: Partial<FeatureQuery>) => void;
  title: string;
  right?: boolean;
  className?: string;
}

/** The first press sorts numbers from the greatest, the next turns the order round. */
function SortHeader({ name, sort, query, setQuery, title, right, className }: SortHeaderProps) {
  const active = query.sort === sort;
  const first = sort === "index" ? "asc" : "desc";
  const next = active ? (query.direction === "asc" ? "desc" : "asc") : first;
  const Arrow = query.direction === "asc" ? ArrowUp : ArrowDown;
  return (
    <th
      scope="col"
      aria-sort={active ? (query.direction === "asc" ? "ascending" : "descending") : undefined}
      className={cn("whitespace-nowrap font-normal", right && "pl-4", className)}
    >
      <button
        type="button"
        title={title}
        onClick={() => setQuery({ sort, direction: next })}
        className={cn("inline-flex items-center gap-1 rounded-sm py-2 hover:text-ink", active && "font-medium text-ink")}
      >
        {active && <Arrow className="size-3.5" aria-hidden />}
        {name}
      </button>
    </th>
  );
}
