"use client";
import Link from "next/link";
import { cn } from "@/components/ui/cn";

interface DictionaryChoiceProps {
  /** `<model>/<dictionary>` of the one that looks now. */
  current: string;
  choices: readonly { ref: string; id: string }[];
  hrefOf: (ref: string) => string;
}

/** With which dictionary a picture is looked at; nothing where there is but one. */
export function DictionaryChoice({ current, choices, hrefOf }: DictionaryChoiceProps) {
  if (choices.length < 2) return null;
  return (
    <nav aria-label="Dictionary" className="inline-flex flex-wrap items-center gap-0.5 rounded-md bg-sunken p-0.5">
      {choices.map(({ ref, id }) => (
        <Link
          key={ref}
          href={hrefOf(ref)}
          aria-current={ref === current ? "page" : undefined}
          replace
          scroll={false}
          className={cn(
            "inline-flex h-7 items-center rounded px-2 text-sm",
            ref === current ? "bg-raised text-ink shadow-sm ring-1 ring-line" : "text-muted hover:text-ink",
          )}
        >
          {id}
        </Link>
      ))}
    </nav>
  );
}
