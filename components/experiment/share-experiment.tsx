"use client";
import { Share2 } from "lucide-react";
import { useState } from "react";
import { CopyButton } from "@/components/steer/copy-button";
import { CopyFallback } from "@/components/steer/copy-fallback";
import { curlSnippet, pythonSnippet } from "@/components/steer/snippets";
import { Button } from "@/components/ui/button";
import { LinkButton } from "@/components/ui/link-button";
import { Popover, PopoverContent, PopoverTrigger } from "@/components/ui/popover";
import type { Experiment } from "@/lib/core/experiment";
import { absolute, isStatic, routes } from "@/lib/core/routes";
import { embedCode } from "./embed-code";

/** The experiment to take along: as a link, a frame, a picture, data, or a command that runs it again. */
export function ShareExperiment({ experiment }: { experiment: Experiment }) {
  const [fallback, setFallback] = useState<string | null>(null);
  const { id, title, request } = experiment;
  const origin = () => window.location.origin;
  return (
    <Popover onOpenChange={() => setFallback(null)}>
      <PopoverTrigger asChild>
        <Button>
          <Share2 aria-hidden />
          Share
        </Button>
      </PopoverTrigger>
      <PopoverContent align="end" aria-label="Share this experiment" className="flex w-80 flex-col gap-3">
        <div className="flex flex-wrap gap-2">
          <CopyButton text={() => absolute(routes.experiment(id))} onFailure={setFallback}>
            Copy link
          </CopyButton>
          {!isStatic && (
            <>
              <CopyButton text={() => embedCode(`${origin()}${routes.embed.experiment(id)}`, title)} onFailure={setFallback}>
                Embed
              </CopyButton>
              <CopyButton text={() => curlSnippet(request, origin())} onFailure={setFallback}>
                curl
              </CopyButton>
              <CopyButton text={() => pythonSnippet(request, origin())} onFailure={setFallback}>
                Python
              </CopyButton>
              <LinkButton size="sm" href={routes.api.experimentCard(id)} target="_blank" prefetch={false}>
                PNG card
              </LinkButton>
              <LinkButton size="sm" href={routes.api.experiment(id)} target="_blank" prefetch={false}>
                JSON
              </LinkButton>
            </>
          )}
        </div>
        <p className="text-muted text-sm">
          The link shows the experiment as it is here, for as long as this catalogue has it.
          {!isStatic && " curl and Python run its request again; the pictures are named by their hash and kept with the experiment."}
        </p>
        <CopyFallback text={fallback} />
      </PopoverContent>
    </Popover>
  );
}
