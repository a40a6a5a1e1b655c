import { ExternalLink } from "lucide-react";
import type { ReactNode } from "react";
import { FacetMark } from "@/components/shell/facet-mark";

interface EmbedFrameProps {
  /** Where the whole of it is. */
  href: string;
  title: ReactNode;
  foot: string;
  children: ReactNode;
}

/** A page that stands in a frame of another site: what it shows, and one way to the whole of it, in a window of its own. */
export function EmbedFrame({ href, title, foot, children }: EmbedFrameProps) {
  return (
    <div className="flex grow flex-col gap-4 p-4">
      <h1 className="min-w-0 font-semibold leading-snug">
        <a href={href} target="_blank" rel="noopener" className="break-words rounded-sm underline-offset-4 hover:underline">
          {title}
        </a>
      </h1>
      {children}
      <p className="mt-auto flex flex-wrap items-center justify-between gap-x-4 gap-y-1 border-line border-t pt-2 text-muted text-xs">
        <span className="min-w-0 break-words">{foot}</span>
        <a
          href={href}
          target="_blank"
          rel="noopener"
          className="inline-flex min-h-8 items-center gap-1.5 rounded-sm underline-offset-4 hover:text-ink hover:underline"
        >
          <FacetMark className="size-4" />
          Open in Facet
          <ExternalLink className="size-3.5" aria-hidden />
        </a>
      </p>
    </div>
  );
}
