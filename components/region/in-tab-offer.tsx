"use client";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { TabPanel } from "@/components/local-engine/tab-panel";
import { cataloguePicture, usePicture } from "@/components/own-image/use-picture";
import { Button } from "@/components/ui/button";
import { ErrorState } from "@/components/ui/error-state";
import { enginePackageQueryOptions } from "@/lib/api/engine";
import type { Analysis } from "@/lib/core/records";

interface InTabOfferProps {
  dictionary: string;
  sha256: string;
  onAnalysis: (analysis: Analysis) => void;
}

/** Where the server runs no model but has one to give: finds all that fires on a catalogue picture in this tab. Else nothing. */
export function InTabOffer({ dictionary, sha256, onAnalysis }: InTabOfferProps) {
  const pack = useQuery(enginePackageQueryOptions(dictionary));
  const [wanted, setWanted] = useState(false);
  const looked = usePicture(dictionary, wanted ? cataloguePicture(sha256) : null);
  const analysis = looked.data?.analysis;
  const tell = useRef(onAnalysis);
  tell.current = onAnalysis;
  useEffect(() => {
    if (analysis) tell.current(analysis);
  }, [analysis]);
  if (!pack.data) return null;
  return (
    <div className="mb-4 flex flex-col gap-2">
      <TabPanel pack={pack.data}>The model can look at this picture in your browser, and then all that fires on it is listed.</TabPanel>
      {looked.error && <ErrorState error={looked.error} onRetry={looked.retry} />}
      <Button size="sm" className="self-start" disabled={looked.busy} onClick={() => (wanted ? looked.retry() : setWanted(true))}>
        {looked.busy ? "Looking…" : "Find all that fires, in this tab"}
      </Button>
    </div>
  );
}
