import { ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/components/ui/cn";

interface FoldProps {
  title: string;
  /** What is inside, in a few words, while it is closed. */
  summary?: string;
  open?: boolean;
  className?: string;
  children: ReactNode;
}

/** What most people leave as it is. */
export function Fold({ title, summary, open, className, children }: FoldProps) {
  return (
    <details open={open} className={cn("group", className)}>
      <summary className="flex min-h-10 cursor-pointer list-none items-center gap-2 rounded-md text-sm [&::-webkit-details-marker]:hidden">
        <ChevronRight className="size-4 shrink-0 text-muted transition-transform duration-100 group-open:rotate-90" aria-hidden />
        <span className="shrink-0 font-medium">{title}</span>
        {summary && <span className="num min-w-0 truncate text-muted">{summary}</span>}
      </summary>
      <div className="pt-1 pb-2 pl-6">{children}</div>
    </details>
  );
}
