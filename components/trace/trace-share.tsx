"use client";
import { Share2 } from "lucide-react";
import { useState } from "react";
import { CopyButton } from "@/components/steer/copy-button";
import { CopyFallback } from "@/components/steer/copy-fallback";
import { Button } from "@/components/ui/button";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { absolute } from "@/lib/core/routes";
import { maxLinkLength } from "@/lib/core/steer-link";
import { type TraceView, traceHref } from "@/lib/core/trace-link";

interface TraceShareProps {
  dictionary: string;
  link: string;
  view: TraceView;
  hasUpload: boolean;
}

/** The page as a link: request, word, comparison, filters, the feature that is open. */
export function TraceShare({ dictionary, link, view, hasUpload }: TraceShareProps) {
  const [fallback, setFallback] = useState<string | null>(null);
  const tooLong = link.length > maxLinkLength;
  return (
    <Popover onOpenChange={() => setFallback(null)}>
      <PopoverTrigger asChild>
        <Button variant="ghost" className="px-3">
          <Share2 aria-hidden />
          <span className="max-sm:sr-only">Share</span>
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" aria-label="Share this trace" className="flex w-80 flex-col gap-3">
        {!tooLong && (
          <CopyButton text={() => absolute(traceHref(dictionary, link, view))} onFailure={setFallback}>
            Copy link
          </CopyButton>
        )}
        <p className="text-muted text-sm">
          {tooLong
            ? "This request is too long for a link."
            : "The link holds the request and what is looked at: the word, what it is compared with, filters, the open feature. The numbers come from asking again."}
        </p>
        {hasUpload && (
          <p className="text-sm text-warn">
            A link cannot carry the uploaded picture: it names it by its SHA-256, and elsewhere asks for it again.
          </p>
        )}
        <CopyFallback text={fallback} />
      </PopoverContent>
    </Popover>
  );
}
