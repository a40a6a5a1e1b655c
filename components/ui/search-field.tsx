"use client";
import { Search } from "lucide-react";
import type { Ref } from "react";
import { cn } from "./cn";
import { inputStyles } from "./input";

interface SearchFieldProps {
  value: string;
  onChange: (value: string) => void;
  /** Enter. */
  onSubmit: (value: string) => void;
  inputRef?: Ref<HTMLInputElement>;
  /** The page's own, in its middle. */
  large?: boolean;
}

/** A field for words. Escape empties it, and leaves it when it is empty. */
export function SearchField({ value, onChange, onSubmit, inputRef, large = false }: SearchFieldProps) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onSubmit(value);
      }}
      className="relative"
    >
      <Search
        className={cn("pointer-events-none absolute top-1/2 -translate-y-1/2 text-faint", large ? "left-4 size-5" : "left-3 size-4")}
        aria-hidden
      />
      <input
        ref={inputRef}
        type="search"
        name="q"
        autoComplete="off"
        spellCheck={false}
        aria-label="Search features"
        placeholder="Search features: a word, or #417"
        value={value}
        onChange={(event) => onChange(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== "Escape") return;
          if (value) onChange("");
          else event.currentTarget.blur();
        }}
        className={cn(inputStyles, "[&::-webkit-search-cancel-button]:hidden", large ? "h-14 pr-4 pl-12" : "h-10 pr-9 pl-9 text-sm")}
      />
      {!value && (
        <kbd
          className={cn(
            "pointer-events-none absolute top-1/2 -translate-y-1/2 rounded bg-sunken px-1.5 font-mono text-faint text-xs max-md:hidden",
            large ? "right-4" : "right-3",
          )}
        >
          /
        </kbd>
      )}
    </form>
  );
}
