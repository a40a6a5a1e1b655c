"use client";
import { ChevronLeft, ChevronRight } from "lucide-react";
import Link, { useLinkStatus } from "next/link";
import { useRouter } from "next/navigation";
import type { ReactNode } from "react";
import { useKeys } from "@/components/shell/use-keys";
import { cn } from "@/components/ui/cn";
import { Tooltip } from "@/components/ui/tooltip";

export interface Neighbourhood {
  previous: number | null;
  next: number | null;
  /** Features of the list; null when it could not be read. */
  total: number | null;
}

interface ListNavProps {
  /** Address of the list and what it is. */
  list: { href: string; words: string };
  previous: string | null;
  next: string | null;
}

/** Back to the list, and to the features before and after this one in it. Keys: j and ] for the next, k and [ for the previous. */
export function ListNav({ list, previous, next }: ListNavProps) {
  const router = useRouter();
  const go = (href: string | null) => (href ? router.push(href) : false);
  useKeys({ j: () => go(next), "]": () => go(next), k: () => go(previous), "[": () => go(previous) });
  return (
    <nav aria-label="In the list" className="flex min-w-0 items-center gap-1 text-sm">
      <Link href={list.href} className="min-w-0 truncate rounded-sm px-1 py-2 text-muted underline-offset-4 hover:text-ink hover:underline">
        {list.words}
      </Link>
      <Step href={previous} label="Previous feature" shortcut="k">
        <ChevronLeft className="size-5" aria-hidden />
      </Step>
      <Step href={next} label="Next feature" shortcut="j">
        <ChevronRight className="size-5" aria-hidden />
      </Step>
    </nav>
  );
}

function Step({ href, label, shortcut, children }: { href: string | null; label: string; shortcut: string; children: ReactNode }) {
  const look = "inline-flex size-10 shrink-0 items-center justify-center rounded-md";
  if (!href) {
    return (
      <span aria-hidden className={cn(look, "opacity-40")}>
        {children}
      </span>
    );
  }
  return (
    <Tooltip
      side="bottom"
      content={
        <>
          {label}
          <kbd className="ml-2 rounded bg-sunken px-1 font-mono text-xs">{shortcut}</kbd>
        </>
      }
    >
      <Link href={href} prefetch aria-label={label} className={cn(look, "text-muted hover:bg-sunken hover:text-ink")}>
        <Pending>{children}</Pending>
      </Link>
    </Tooltip>
  );
}

function Pending({ children }: { children: ReactNode }) {
  const { pending } = useLinkStatus();
  return <span className={cn("transition-opacity duration-100", pending && "opacity-40")}>{children}</span>;
}
