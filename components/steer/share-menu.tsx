"use client";
import { Share2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { absolute, isStatic } from "@/lib/core/routes";
import { maxLinkLength, steerHref } from "@/lib/core/steer-link";
import { CopyButton } from "./copy-button";
import { CopyFallback } from "./copy-fallback";
import { curlSnippet, pythonSnippet, requestJson } from "./snippets";

interface ShareMenuProps {
  dictionary: string;
  /** The request's link text. */
  link: string;
  /** The link is for an address that no server is sent. */
  unsent?: boolean;
  /** Whether it names an uploaded picture. */
  hasUpload: boolean;
  /** The request as sent; throws where an uploaded picture is not here. */
  request: () => GenerateRequest;
}

/** The request to take along: as a link, as JSON, as a command. */
export function ShareMenu({ dictionary, link, unsent = false, hasUpload, request }: ShareMenuProps) {
  const [fallback, setFallback] = useState<string | null>(null);
  const tooLong = link.length > maxLinkLength;
  const origin = () => window.location.origin;
  const [error, setError] = useState<FacetError | null>(null);
  const failing = { onFailure: setFallback, onError: (error: unknown) => setError(asFacetError(error)) };
  return (
    <Popover
      onOpenChange={() => {
        setFallback(null);
        setError(null);
      }}
    >
      <PopoverTrigger asChild>
        <Button variant="ghost" className="px-3">
          <Share2 aria-hidden />
          <span className="max-sm:sr-only">Share</span>
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" aria-label="Share this request" className="flex w-80 flex-col gap-3">
        <div className="flex flex-wrap gap-2">
          {!tooLong && (
            <CopyButton text={() => absolute(steerHref(dictionary, link, unsent))} onFailure={setFallback}>
              Copy link
            </CopyButton>
          )}
          <CopyButton text={() => requestJson(request())} {...failing}>
            JSON
          </CopyButton>
          {!isStatic && (
            <>
              <CopyButton text={() => curlSnippet(request(), origin())} {...failing}>
                curl
              </CopyButton>
              <CopyButton text={() => pythonSnippet(request(), origin())} {...failing}>
                Python
              </CopyButton>
            </>
          )}
        </div>
        <p className="text-muted text-sm">
          {tooLong
            ? "This request is too long for a link; take it as JSON. It stays in this tab over a reload."
            : "The link holds the whole request: picture, question, sampling and clamps. The answers come from running it."}
        </p>
        {hasUpload && (
          <p className="text-sm text-warn">
            A link cannot carry the uploaded picture. It names it by its SHA-256, and the picture itself stays in this browser: elsewhere
            the link asks for it again. {isStatic ? "The JSON does carry it." : "JSON, curl and Python do carry it."}
          </p>
        )}
        {error && (
          <p role="alert" className="text-bad text-sm">
            {error.message} {error.fix}
          </p>
        )}
        <CopyFallback text={fallback} />
      </PopoverContent>
    </Popover>
  );
}
