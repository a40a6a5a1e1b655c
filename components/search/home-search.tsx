"use client";
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { ArrowRight } from "lucide-react";
import Link from "next/link";
import { useRouter } from "next/navigation";
import { useRef, useState } from "react";
import { useKeys } from "@/components/shell/use-keys";
import { cn } from "@/components/ui/cn";
import { SearchField } from "@/components/ui/search-field";
import { featuresInfiniteOptions } from "@/lib/api/features";
import { parseFeatureQuery } from "@/lib/core/feature-query";
import { formatCount, formatNoun } from "@/lib/core/format";
import type { Dictionary } from "@/lib/core/records";
import { routes } from "@/lib/core/routes";
import { FeatureCard } from "./feature-card";
import { CardSkeleton } from "./feature-grid";
import { useSettled } from "./use-feature-pages";

interface HomeSearchProps {
  dictionary: Pick<Dictionary, "ref" | "numLatents">;
  /** Searches that find something, and how much. */
  examples: readonly { words: string; total: number }[];
}

const shown = 6;

/** Searches one dictionary as one types; the first few features show in place. */
export function HomeSearch({ dictionary, examples }: HomeSearchProps) {
  const router = useRouter();
  const input = useRef<HTMLInputElement>(null);
  const [words, setWords] = useState("");
  const search = useSettled(words.trim(), 120);
  const found = useInfiniteQuery({
    ...featuresInfiniteOptions(parseFeatureQuery({ dictionary: dictionary.ref, q: search, limit: String(shown) })),
    enabled: search !== "" && words.trim() !== "",
    placeholderData: keepPreviousData,
  });
  useKeys({ "/": () => input.current?.focus() });
  const page = words.trim() && search ? found.data?.pages[0] : undefined;
  const all = routes.dictionary(dictionary.ref, { q: words.trim() });
  return (
    <search>
      <div className="max-w-2xl">
        <SearchField value={words} onChange={setWords} onSubmit={() => words.trim() && router.push(all)} inputRef={input} large />
      </div>
      {examples.length > 0 && (
        <p className="mt-3 flex flex-wrap items-center gap-x-4 gap-y-1 text-muted text-sm">
          Try
          {examples.map((example) => (
            <button
              key={example.words}
              type="button"
              onClick={() => {
                setWords(example.words);
                input.current?.focus();
              }}
              className="min-h-8 rounded-sm text-accent underline-offset-4 hover:underline"
            >
              {example.words} <span className="num text-muted text-xs">{formatCount(example.total)}</span>
            </button>
          ))}
        </p>
      )}
      {words.trim() !== "" && (
        <div className="mt-4" aria-live="polite">
          {found.error ? (
            <p className="text-bad text-sm">{found.error.message}</p>
          ) : page && page.total === 0 ? (
            <p className="text-muted text-sm">No feature matches “{search}”. Try fewer or other words.</p>
          ) : (
            <>
              <ul className={cn("grid grid-cols-2 gap-2 sm:grid-cols-3 lg:grid-cols-6", found.isPlaceholderData && "opacity-60")}>
                {page
                  ? page.items.slice(0, shown).map((card) => (
                      <li key={card.index}>
                        <FeatureCard
                          card={card}
                          dictionary={dictionary}
                          from={new URLSearchParams({ q: search }).toString()}
                          heat
                          searching
                          compact
                        />
                      </li>
                    ))
                  : Array.from({ length: shown }, (_, i) => (
                      // biome-ignore lint/suspicious/noArrayIndexKey: blanks have no identity
                      <li key={i} aria-hidden>
                        <CardSkeleton searching compact />
                      </li>
                    ))}
              </ul>
              {page && (
                <Link
                  href={all}
                  className="mt-3 inline-flex min-h-10 items-center gap-2 font-medium text-accent text-sm underline-offset-4 hover:underline"
                >
                  {page.total > shown ? `All ${formatNoun(page.total, "feature")}` : `${formatNoun(page.total, "feature")}: open the list`}
                  <ArrowRight className="size-4" aria-hidden />
                </Link>
              )}
            </>
          )}
        </div>
      )}
    </search>
  );
}
