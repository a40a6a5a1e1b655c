"use client";
import { Share2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Textarea } from "@/components/ui/input";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import type { GenerateRequest } from "@/lib/core/protocol";
import { routes } from "@/lib/core/routes";
import { maxLinkLength } from "@/lib/core/steer-link";
import { CopyButton } from "./copy-button";
import { curlSnippet, pythonSnippet, requestJson } from "./snippets";

interface ShareMenuProps {
  dictionary: string;
  /** The request's link text. */
  link: string;
  /** Whether it names an uploaded picture. */
  hasUpload: boolean;
  /** The request as sent; throws where an uploaded picture is not here. */
  request: () => GenerateRequest;
}

/** The request to take along: as a link, as JSON, as a command. */
export function ShareMenu({ dictionary, link, hasUpload, request }: ShareMenuProps) {
  const [fallback, setFallback] = useState<string | null>(null);
  const tooLong = link.length > maxLinkLength;
  const origin = () => window.location.origin;
  const said = (make: () => string) => () => {
    try {
      return make();
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
  };
  return (
    <Popover onOpenChange={() => setFallback(null)}>
      <PopoverTrigger asChild>
        <Button variant="ghost" className="px-3">
          <Share2 aria-hidden />
          <span className="max-sm:sr-only">Share</span>
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" aria-label="Share this request" className="flex w-80 flex-col gap-3">
        <div className="flex flex-wrap gap-2">
          {!tooLong && (
            <CopyButton text={() => `${origin()}${routes.steer({ dictionary, r: link })}`} onFailure={setFallback}>
              Copy link
            </CopyButton>
          )}
          <CopyButton text={said(() => requestJson(request()))} onFailure={setFallback}>
            JSON
          </CopyButton>
          <CopyButton text={said(() => curlSnippet(request(), origin()))} onFailure={setFallback}>
            curl
          </CopyButton>
          <CopyButton text={said(() => pythonSnippet(request(), origin()))} onFailure={setFallback}>
            Python
          </CopyButton>
        </div>
        <p className="text-muted text-sm">
          {tooLong
            ? "This request is too long for a link; take it as JSON. It stays in this tab over a reload."
            : "The link holds the whole request: picture, question, sampling and clamps. The answers come from running it."}
        </p>
        {hasUpload && (
          <p className="text-sm text-warn">
            A link cannot carry the uploaded picture. It names it by its SHA-256, and the picture itself stays in this browser: elsewhere
            the link asks for it again. JSON, curl and Python do carry it.
          </p>
        )}
        {fallback !== null && (
          <div>
            <p className="mb-1 text-sm">This browser does not let pages copy. Copy it from here:</p>
            <Textarea readOnly aria-label="Text to copy" value={fallback} rows={4} onFocus={(event) => event.currentTarget.select()} />
          </div>
        )}
      </PopoverContent>
    </Popover>
  );
}
