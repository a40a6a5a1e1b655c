"use client";
import { useQuery } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useRef, useState } from "react";
import { useListState } from "@/components/search/list-state";
import { SearchField } from "@/components/ui/search-field";
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
  return (
    <search className={className}>
      <SearchField value={value} onChange={onChange} onSubmit={onSubmit} inputRef={input} />
    </search>
  );
}
