"use client";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { FlaskConical, Search, SearchX } from "lucide-react";
import { useRouter } from "next/navigation";
import { useEffect, useRef, useState } from "react";
import { useSettled } from "@/components/search/use-feature-pages";
import { useKeys } from "@/components/shell/use-keys";
import { Button } from "@/components/ui/button";
import { cn } from "@/components/ui/cn";
import { EmptyState } from "@/components/ui/empty-state";
import { ErrorState } from "@/components/ui/error-state";
import { Input } from "@/components/ui/input";
import { LinkButton } from "@/components/ui/link-button";
import { experimentsInfiniteOptions } from "@/lib/api/experiments";
import { asFacetError } from "@/lib/core/errors";
import { experimentLimits } from "@/lib/core/experiment";
import { formatNoun } from "@/lib/core/format";
import { routes } from "@/lib/core/routes";
import { ExperimentRow } from "./experiment-row";

/** Every saved experiment, the newest first; the search is in the address. */
export function ExperimentList({ search }: { search: string }) {
  const router = useRouter();
  const input = useRef<HTMLInputElement>(null);
  const [words, setWords] = useState(search);
  const settled = useSettled(words.trim(), 200);
  const found = useInfiniteQuery({ ...experimentsInfiniteOptions(settled), placeholderData: keepPreviousData });
  useKeys({ "/": () => input.current?.focus() });

  // The address follows what is typed, and what is typed follows Back.
  const written = useRef(search);
  useEffect(() => {
    if (settled === written.current) return;
    written.current = settled;
    router.replace(routes.experiments({ q: settled }), { scroll: false });
  }, [settled, router]);
  useEffect(() => {
    if (search === written.current) return;
    written.current = search;
    setWords(search);
  }, [search]);

  const items = found.data?.pages.flatMap((page) => page.items) ?? [];
  const total = found.data?.pages[0]?.total;
  const error = found.error ? asFacetError(found.error) : null;
  const none = total === 0 && !found.isPlaceholderData;
  return (
    <div className="mx-auto w-full max-w-4xl px-4 pt-6 pb-10 sm:px-6">
      <div className="flex flex-wrap items-end justify-between gap-3">
        <div>
          <h1 className="font-semibold text-xl">Experiments</h1>
          <p className="num text-muted text-sm" role="status">
            {total === undefined
              ? "Looking…"
              : settled
                ? `${formatNoun(total, "experiment")} with “${settled}”`
                : formatNoun(total, "saved experiment")}
          </p>
        </div>
        {!(none && !settled) && (
          <search className="relative w-full sm:w-80">
            <Search className="pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-faint" aria-hidden />
            <Input
              ref={input}
              type="search"
              aria-label="Search experiments"
              placeholder="A word of title, question or answer"
              autoComplete="off"
              spellCheck={false}
              maxLength={experimentLimits.search}
              value={words}
              onChange={(event) => setWords(event.target.value)}
              onKeyDown={(event) => {
                if (event.key !== "Escape") return;
                if (words) setWords("");
                else event.currentTarget.blur();
              }}
              className="pl-9 text-sm [&::-webkit-search-cancel-button]:hidden"
            />
          </search>
        )}
      </div>
      {error && items.length === 0 ? (
        <ErrorState error={error.toJSON()} onRetry={() => found.refetch()} />
      ) : none && settled ? (
        <EmptyState
          icon={<SearchX aria-hidden />}
          title={`No experiment has “${settled}”.`}
          action={<Button onClick={() => setWords("")}>Show all</Button>}
        >
          Titles, notes, questions, answers and the names of clamped features are searched.
        </EmptyState>
      ) : none ? (
        <EmptyState
          icon={<FlaskConical aria-hidden />}
          title="Nothing is saved yet."
          action={
            <LinkButton variant="primary" href={routes.steer()}>
              Steer
            </LinkButton>
          }
        >
          Run a request in the sandbox and press Save: the request, the answers and their receipts stay here as they were, to be opened,
          shared and run again.
        </EmptyState>
      ) : (
        <>
          <ul className={cn("mt-4 flex flex-col gap-3", found.isPlaceholderData && "opacity-60")}>
            {items.map((experiment) => (
              <li key={experiment.id}>
                <ExperimentRow experiment={experiment} />
              </li>
            ))}
          </ul>
          {found.hasNextPage && (
            <div className="mt-4 flex justify-center">
              <Button onClick={() => found.fetchNextPage()} disabled={found.isFetchingNextPage}>
                {found.isFetchingNextPage ? "Loading…" : "Older ones"}
              </Button>
            </div>
          )}
          {error && (
            <p role="alert" className="mt-3 text-center text-bad text-sm">
              {error.message} {error.fix}
            </p>
          )}
        </>
      )}
    </div>
  );
}
