"use client";
import {
  ArrowDownWideNarrow,
  ArrowUpNarrowWide,
  ChevronDown,
  Download,
  Flame,
  LayoutGrid,
  Rows3,
  SlidersHorizontal,
  Table2,
} from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuLabel,
  DropdownMenuRadioGroup,
  DropdownMenuRadioItem,
  DropdownMenuSeparator,
  DropdownMenuTrigger,
} from "@/components/ui/dropdown-menu";
import { IconButton } from "@/components/ui/icon-button";
import { Segmented } from "@/components/ui/segmented";
import type { FeatureQuery } from "@/lib/core/feature-query";
import { formatCount, formatNoun } from "@/lib/core/format";
import { type MetricKey, type SortKey, sortKeys } from "@/lib/core/records";
import { isStatic } from "@/lib/core/routes";
import { quotedWords } from "./active-filters";
import type { View } from "./list-url";
import { metrics, sortNames } from "./metrics";
import { useMeasured } from "./use-measured";

interface ListToolbarProps {
  query: FeatureQuery;
  setQuery: (change: Partial<FeatureQuery>) => void;
  total: number | null;
  /** Of the dictionary. */
  numLatents: number;
  view: View;
  setView: (view: View) => void;
  heat: boolean;
  onToggleHeat: () => void;
  compact: boolean;
  onToggleCompact: () => void;
  onDownload: () => void;
  /** The buttons that open and close the filters. */
  filters: ReactNode;
}

export function ListToolbar({
  query,
  setQuery,
  total,
  numLatents,
  view,
  setView,
  heat,
  onToggleHeat,
  compact,
  onToggleCompact,
  onDownload,
  filters,
}: ListToolbarProps) {
  const narrowed = total !== null && total < numLatents;
  return (
    <div className="z-20 flex flex-wrap items-center gap-x-1 gap-y-1 bg-surface py-2 sm:sticky sm:top-14 sm:flex-nowrap">
      {filters}
      <p className="num mr-auto min-w-0 truncate px-1 text-sm" aria-live="polite">
        {total === null ? (
          "Counting…"
        ) : (
          <>
            <span className="font-semibold">{narrowed ? formatCount(total) : formatNoun(total, "feature")}</span>
            {narrowed && <span className="text-muted"> of {formatNoun(numLatents, "feature")}</span>}
            {query.q.trim() && <span className="text-muted max-xl:sr-only"> match {quotedWords(query.q)}</span>}
          </>
        )}
      </p>
      <div className="flex items-center gap-1 max-sm:w-full max-sm:gap-0 max-[24rem]:flex-wrap">
        <SortMenu query={query} setQuery={setQuery} />
        <Segmented
          label="View"
          size="md"
          className="max-sm:ml-auto"
          value={view}
          onChange={setView}
          options={[
            { value: "grid", name: "Grid", icon: <LayoutGrid aria-hidden /> },
            { value: "table", name: "Table", icon: <Table2 aria-hidden /> },
          ]}
        />
        <IconButton label={heat ? "Hide the heat" : "Show the heat"} shortcut="h" pressed={heat} onClick={onToggleHeat}>
          <Flame />
        </IconButton>
        <IconButton label={compact ? "Comfortable rows" : "Compact rows"} pressed={compact} onClick={onToggleCompact}>
          <Rows3 />
        </IconButton>
        {!isStatic && (
          <IconButton
            label={total === null ? "Download as CSV" : `Download ${total === 1 ? "the" : "all"} ${formatNoun(total, "row")} as CSV`}
            disabled={!total}
            onClick={onDownload}
          >
            <Download />
          </IconButton>
        )}
      </div>
    </div>
  );
}

function SortMenu({ query, setQuery }: Pick<ListToolbarProps, "query" | "setQuery">) {
  const searching = query.q.trim() !== "";
  const ascending = query.direction === "asc";
  const measured = useMeasured(query.dictionary, query.version);
  const keys = sortKeys.filter((key) =>
    key === "relevance" ? searching : key === "index" || key === query.sort || (measured as readonly string[]).includes(key),
  );
  const Arrow = ascending ? ArrowUpNarrowWide : ArrowDownWideNarrow;
  const metric = query.sort in metrics ? metrics[query.sort as MetricKey] : null;
  return (
    <DropdownMenu modal={false}>
      <DropdownMenuTrigger asChild>
        <Button
          variant="ghost"
          className="min-w-0 shrink px-2 font-normal sm:px-3"
          aria-label={`Sort: ${sortNames[query.sort]}, ${ascending ? "ascending" : "descending"}`}
          title={
            metric ? `${metric.explain} From the ${ascending ? "smallest" : "greatest"}; features without a value come last.` : undefined
          }
        >
          <Arrow aria-hidden className="text-muted" />
          <span className="truncate">{sortNames[query.sort]}</span>
          <ChevronDown aria-hidden className="text-muted" />
        </Button>
      </DropdownMenuTrigger>
      <DropdownMenuContent align="end">
        <DropdownMenuRadioGroup
          value={query.sort}
          onValueChange={(key) => setQuery({ sort: key as SortKey, direction: key === "index" ? "asc" : "desc" })}
        >
          {keys.map((key) => (
            <DropdownMenuRadioItem key={key} value={key} title={key in metrics ? metrics[key as keyof typeof metrics].explain : undefined}>
              {sortNames[key]}
            </DropdownMenuRadioItem>
          ))}
        </DropdownMenuRadioGroup>
        {metric && (
          <>
            <DropdownMenuSeparator />
            <DropdownMenuLabel className="max-w-64">
              From the {ascending ? "smallest" : "greatest"}; features without a value come last.
            </DropdownMenuLabel>
          </>
        )}
        {query.sort !== "relevance" && (
          <>
            <DropdownMenuSeparator />
            <DropdownMenuItem onSelect={() => setQuery({ direction: ascending ? "desc" : "asc" })} className="pl-8">
              {ascending ? "From the greatest" : "From the smallest"}
            </DropdownMenuItem>
          </>
        )}
      </DropdownMenuContent>
    </DropdownMenu>
  );
}

interface FilterButtonProps {
  active: number;
  expanded?: boolean;
  onClick: () => void;
  className?: string;
}

export function FilterButton({ active, expanded, onClick, className }: FilterButtonProps) {
  return (
    <Button variant="ghost" aria-expanded={expanded} onClick={onClick} className={className}>
      <SlidersHorizontal aria-hidden />
      Filters
      {active > 0 && <span className="num rounded-full bg-accent px-1.5 text-accent-ink text-xs">{active}</span>}
    </Button>
  );
}
