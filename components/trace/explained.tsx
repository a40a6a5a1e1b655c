"use client";
import { useMemo } from "react";
import { queueWords, type RunToken } from "@/components/steer/run-state";
import { ErrorState } from "@/components/ui/error-state";
import { Skeleton } from "@/components/ui/skeleton";
import type { Dictionary } from "@/lib/core/records";
import { useAsking } from "./asking";
import { Found } from "./found";
import { attributionRequest, useAttribution } from "./use-attribution";
import type { Mend } from "./use-mend";
import type { TraceState } from "./use-trace";

export interface ExplainedProps {
  trace: TraceState;
  mend: Mend;
  dictionary: Dictionary;
  tokens: readonly RunToken[];
  /** Of the explained token. */
  place: number;
  /** The whole answer. */
  answer: string;
  nearly: string[];
}

/** Why a token was said: the features that contributed, where they were seen, and what changes without them. */
export function Explained(props: ExplainedProps) {
  const { trace, tokens, place } = props;
  const { metric, steps, control } = trace.view;
  const { request, where } = useAsking();
  const asked = useMemo(
    () => attributionRequest(request(), tokens, place, { metric, steps, control }),
    [request, tokens, place, metric, steps, control],
  );
  const attribution = useAttribution(asked, where);
  const { status, found, error, position, retry } = attribution;
  if (error && !found) return <ErrorState error={error} onRetry={retry} className="py-8" />;
  if (!found) {
    return (
      <div aria-busy="true" className="grid gap-6 lg:grid-cols-[minmax(0,1fr)_20rem]">
        <p className="text-muted text-sm lg:col-span-2" role="status">
          {status === "queued" ? queueWords(position) : "Tracing the answer back…"}
        </p>
        <div className="flex flex-col gap-2">
          {Array.from({ length: 8 }, (_, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: blocks without identity
            <Skeleton key={i} className="h-9" />
          ))}
        </div>
        <Skeleton className="aspect-square max-lg:hidden" />
      </div>
    );
  }
  return <Found {...props} found={found} attribution={attribution} />;
}
