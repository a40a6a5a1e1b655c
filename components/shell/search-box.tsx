"use client";
import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { type FormEvent, useRef, useState } from "react";
import { useListState } from "@/components/search/list-state";
import { cn } from "@/components/ui/cn";
import { inputStyles } from "@/components/ui/input";
import { dictionariesQueryOptions } from "@/lib/api/dictionaries";
import { routes } from "@/lib/core/routes";
import { useCurrentDictionary } from "./current-dictionary";
import { useKeys } from "./use-keys";

/** The one search box: on a dictionary's list it searches as one types; elsewhere Enter goes to the list. */
export function SearchBox({ className }: { className?: string }) {
  const { isList } = useCurrentDictionary();
  return isList ? <ListSearchBox className={className} /> : <PlainSearchBox className={className} />;
}

function ListSearchBox({ className }: { className?: string }) {
  const { query, setSearch } = useListState();
  return <Box className={className} value={query.q} onChange={setSearch} onSubmit={() => {}} />;
}

function PlainSearchBox({ className }: { className?: string }) {
  const [words, setWords] = useState("");
  const goTo = useGoToSearch();
  return <Box className={className} value={words} onChange={setWords} onSubmit={goTo} />;
}

/** Opens the list of the dictionary at hand (else of the first one) with these words. */
export function useGoToSearch(): (words: string) => void {
  const router = useRouter();
  const { ref } = useCurrentDictionary();
  const dictionaries = useQuery({ ...dictionariesQueryOptions(), enabled: ref === null });
  return (words) => {
    const target = ref ?? dictionaries.data?.[0]?.ref;
    if (target) router.push(routes.dictionary(target, { q: words.trim() }));
  };
}

interface BoxProps {
  value: string;
  onChange: (value: string) => void;
  onSubmit: (value: string) => void;
  className?: string;
}

function Box({ value, onChange, onSubmit, className }: BoxProps) {
  const input = useRef<HTMLInputElement>(null);
  useKeys({
    "/": () => {
      // Hidden on a narrow screen, where the palette does the same.
      if (!input.current?.offsetParent) return false;
      input.current.focus();
      input.current.select();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit(value);
  };
  return (
    <search className={className}>
      <form onSubmit={submit} className="relative">
        <Search className="pointer-events-none absolute top-1/2 left-3 size-4 -translate-y-1/2 text-faint" aria-hidden />
        <input
          ref={input}
          type="search"
          name="q"
          autoComplete="off"
          spellCheck={false}
          aria-label="Search features"
          placeholder="Search features: a word, or #417"
          value={value}
          onChange={(event) => onChange(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              if (value) onChange("");
              else event.currentTarget.blur();
            }
          }}
          className={cn(inputStyles, "h-10 pr-9 pl-9 text-sm [&::-webkit-search-cancel-button]:hidden")}
        />
        {!value && (
          <kbd className="pointer-events-none absolute top-1/2 right-3 -translate-y-1/2 rounded bg-sunken px-1.5 font-mono text-faint text-xs max-md:hidden">
            /
          </kbd>
        )}
      </form>
    </search>
  );
}
