"use client";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { analyseInTab } from "@/components/local-engine/analyse-in-tab";
import { failedInTab } from "@/components/local-engine/in-tab";
import { TabPanel } from "@/components/local-engine/tab-panel";
import { Button } from "@/components/ui/button";
import { ErrorState } from "@/components/ui/error-state";
import { enginePackageQueryOptions } from "@/lib/api/engine";
import type { FacetError } from "@/lib/core/errors";
import { analyseRequestSchema, limits } from "@/lib/core/protocol";
import type { Analysis } from "@/lib/core/records";

interface InTabOfferProps {
  dictionary: string;
  sha256: string;
  onAnalysis: (analysis: Analysis) => void;
}

/** Where the server runs no model but has one to give: finds all that fires on a catalogue picture in this tab. Else nothing. */
export function InTabOffer({ dictionary, sha256, onAnalysis }: InTabOfferProps) {
  const client = useQueryClient();
  const pack = useQuery(enginePackageQueryOptions(dictionary));
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<FacetError | null>(null);
  const turn = useRef<AbortController>(null);
  useEffect(() => () => turn.current?.abort(), []);
  if (!pack.data) return null;
  const look = async () => {
    const mine = new AbortController();
    turn.current = mine;
    setBusy(true);
    setError(null);
    try {
      const request = analyseRequestSchema.parse({ dictionary, image: { sha256 }, limit: limits.analysed });
      const analysis = await analyseInTab(client, request, new Map(), mine.signal);
      if (!mine.signal.aborted) onAnalysis(analysis);
    } catch (thrown) {
      const failed = failedInTab(thrown);
      if (!mine.signal.aborted && failed.code !== "cancelled") setError(failed);
    } finally {
      if (!mine.signal.aborted) setBusy(false);
    }
  };
  return (
    <div className="mb-4 flex flex-col gap-2">
      <TabPanel pack={pack.data}>The model can look at this picture in your browser, and then all that fires on it is listed.</TabPanel>
      {error && <ErrorState error={error} onRetry={() => void look()} />}
      <Button size="sm" className="self-start" disabled={busy} onClick={() => void look()}>
        {busy ? "Looking…" : "Find all that fires, in this tab"}
      </Button>
    </div>
  );
}
