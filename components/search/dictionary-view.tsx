"use client";
import Link from "next/link";
import { useSearchParams } from "next/navigation";
import { useCallback, useEffect, useMemo, useState } from "react";
import { SearchBox } from "@/components/shell/search-box";
import { Button } from "@/components/ui/button";
import { RemovableChip } from "@/components/ui/chip";
import { cn } from "@/components/ui/cn";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { ErrorState } from "@/components/ui/error-state";
import { LinkButton } from "@/components/ui/link-button";
import { formatNoun } from "@/lib/core/format";
import { goneVersion } from "@/lib/core/gone-version";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { usualSort } from "@/lib/core/usual-sort";
import { activeFilters, noFilters } from "./active-filters";
import { isBareList } from "./bare-list";
import { DictionaryHead } from "./dictionary-head";
import { downloadList } from "./download";
import { FeatureGrid, GridSkeleton } from "./feature-grid";
import { FeatureTable } from "./feature-table";
import { FilterPanel } from "./filter-panel";
import { ListNotes } from "./list-notes";
import { useListState } from "./list-state";
import { FilterButton, ListToolbar } from "./list-toolbar";
import { fromParam } from "./list-url";
import { inSentence } from "./metrics";
import { NoResults } from "./no-results";
import type { Preferences } from "./preference-keys";
import { usePreference } from "./preferences";
import { useFeaturePages, useSettled } from "./use-feature-pages";
import { useMeasured } from "./use-measured";

interface DictionaryViewProps {
  dictionary: Omit<Dictionary, "examples">;
  /** Whether any of its features has an example. */
  illustrated: boolean;
  initial: Preferences;
}

export function DictionaryView({ dictionary, illustrated, initial }: DictionaryViewProps) {
  const own = dictionary.version.slice(0, 12);
  const version = useSearchParams().get("v")?.slice(0, 12) || undefined;
  const gone = goneVersion(dictionary, version);
  const measured = useMeasured(dictionary.ref, version);
  const usual = useMemo(() => usualSort(measured), [measured]);
  const { query, view, at, setQuery, setView } = useListState(usual);
  const [density, setDensity] = usePreference("density", initial.density);
  const [filters, setFilters] = usePreference("filters", initial.filters);
  const [heat, setHeat] = usePreference("heat", initial.heat);
  const [sheet, setSheet] = useState(false);
  const [notice, setNotice] = useNotice();
  const q = useSettled(query.q, 120);
  // Words that were emptied, or a list opened with words, need no waiting.
  const pages = useFeaturePages({ ...query, q: query.q === "" ? "" : q });
  const active = activeFilters(query);
  const toggleHeat = useCallback(() => setHeat(heat === "on" ? "off" : "on"), [heat, setHeat]);
  const compact = density === "compact";
  const list = {
    pages,
    dictionary,
    version: query.version,
    from: fromParam(query),
    searching: query.q.trim() !== "",
    sort: query.sort,
    heat: heat === "on",
    onToggleHeat: toggleHeat,
    compact,
    bare: isBareList({ pages, query, illustrated }),
    at,
    usual,
    onNotice: setNotice,
  };
  return (
    <div className="mx-auto w-full max-w-[120rem] px-4 pb-12 sm:px-6">
      <DictionaryHead dictionary={dictionary} />
      {gone !== null && (
        <p role="note" className="mb-2 rounded-md bg-sunken px-3 py-2 text-sm">
          This link is pinned to <code className="font-mono">{gone}</code>, which this catalogue no longer has. This is{" "}
          <code className="font-mono">{own}</code>: the same weights with other examples, explanations or scores.
        </p>
      )}
      {dictionary.version !== (dictionary.versions[0] ?? dictionary.version) && (
        <p role="note" className="mb-2 rounded-md bg-sunken px-3 py-2 text-sm">
          These are the features of <code className="font-mono">{own}</code>, an older version of the dictionary.{" "}
          <Link href={routes.dictionary(dictionary.ref)} className="text-accent underline underline-offset-4">
            Open the latest
          </Link>
        </p>
      )}
      <SearchBox className="mb-2 md:hidden" />
      <div className={cn("grid gap-x-8", filters === "open" && "lg:grid-cols-[17rem_minmax(0,1fr)]")}>
        {filters === "open" && (
          <aside
            aria-label="Filters"
            className="sticky top-14 hidden max-h-[calc(100dvh-3.5rem)] self-start overflow-y-auto overscroll-contain py-3 pr-2 pl-1 lg:block"
          >
            <h2 className="sr-only">Filters</h2>
            <FilterPanel query={query} setQuery={setQuery} />
          </aside>
        )}
        <section aria-label="Features" className="min-w-0">
          <ListToolbar
            query={query}
            setQuery={setQuery}
            total={pages.total}
            numLatents={dictionary.counts.features}
            view={view}
            setView={setView}
            heat={heat === "on"}
            onToggleHeat={toggleHeat}
            compact={compact}
            onToggleCompact={() => setDensity(compact ? "comfortable" : "compact")}
            onDownload={() => {
              downloadList(query);
              setNotice(`The whole list is written: ${formatNoun(pages.total ?? 0, "row")}`);
            }}
            filters={
              <>
                <FilterButton
                  active={active.length}
                  expanded={filters === "open"}
                  onClick={() => setFilters(filters === "open" ? "closed" : "open")}
                  className="hidden lg:inline-flex"
                />
                <FilterButton active={active.length} onClick={() => setSheet(true)} className="px-3 lg:hidden" />
              </>
            }
          />
          {active.length > 0 && (
            <div className="flex flex-wrap items-center gap-2 pb-3">
              {active.map((filter) => (
                <RemovableChip key={filter.key} label={`the filter ${inSentence(filter.text)}`} onRemove={() => setQuery(filter.without)}>
                  {filter.text}
                </RemovableChip>
              ))}
              {active.length > 1 && (
                <Button variant="ghost" size="sm" onClick={() => setQuery(noFilters)}>
                  Clear all
                </Button>
              )}
            </div>
          )}
          <ListNotes query={query} meaning={pages.meaning} total={pages.total} />
          {pages.error && pages.items.length === 0 ? (
            <ErrorState
              error={pages.error}
              onRetry={pages.retry}
              action={<LinkButton href={routes.dictionary(dictionary.ref)}>Open the whole list</LinkButton>}
            />
          ) : pages.pending ? (
            <GridSkeleton compact={compact} />
          ) : pages.items.length === 0 && !pages.stale ? (
            <NoResults query={query} setQuery={setQuery} />
          ) : view === "table" ? (
            <FeatureTable {...list} query={query} setQuery={setQuery} />
          ) : (
            <FeatureGrid {...list} />
          )}
          {pages.error && pages.items.length > 0 && <ErrorState error={pages.error} onRetry={pages.retry} />}
        </section>
      </div>
      <Dialog open={sheet} onOpenChange={setSheet}>
        <DialogContent
          title="Filters"
          className="top-auto bottom-0 max-h-[85dvh] w-full rounded-b-none sm:top-[10vh] sm:bottom-auto sm:w-[26rem] sm:rounded-b-xl"
        >
          <div className="mt-4">
            <FilterPanel query={query} setQuery={setQuery} />
          </div>
          <Button variant="primary" className="sticky bottom-0 mt-6 w-full" onClick={() => setSheet(false)}>
            {pages.total === null ? "Show" : `Show ${formatNoun(pages.total, "feature")}`}
          </Button>
        </DialogContent>
      </Dialog>
      <div role="status" className="pointer-events-none fixed inset-x-0 bottom-6 z-30 flex justify-center">
        {notice && <span className="rounded-md bg-ink px-4 py-2 text-sm text-surface shadow-lg">{notice}</span>}
      </div>
    </div>
  );
}

/** A line that goes away by itself. */
function useNotice(): [string | null, (text: string) => void] {
  const [notice, setNotice] = useState<{ text: string } | null>(null);
  // A timer of the browser.
  useEffect(() => {
    if (!notice) return;
    const timer = setTimeout(() => setNotice(null), 2500);
    return () => clearTimeout(timer);
  }, [notice]);
  return [notice?.text ?? null, useCallback((text: string) => setNotice({ text }), [])];
}
