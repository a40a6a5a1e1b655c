"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useMemo, useSyncExternalStore } from "react";
import type { Where } from "@/components/local-engine/use-where";
import type { Dictionary } from "@/lib/core/records";
import type { CodesQuestion } from "@/lib/core/region-ranking";
import { RegionScan, type ScanState } from "./region-scan";
import { scanParts } from "./scan-parts";

export interface Scan {
  state: ScanState;
  start: () => void;
  stop: () => void;
}

/** A scan of all pictures for what this page asks; it ends with the page. What the session has kept already is ranked at once. */
export function useScan(dictionary: Dictionary, where: Where, question: CodesQuestion | null): Scan {
  const client = useQueryClient();
  const scan = useMemo(() => new RegionScan(scanParts(client, dictionary, where)), [client, dictionary, where]);
  useEffect(() => {
    void scan.recall();
    return () => scan.stop();
  }, [scan]);
  useEffect(() => scan.ask(question), [scan, question]);
  const state = useSyncExternalStore(scan.subscribe, scan.snapshot, scan.snapshot);
  return useMemo(() => ({ state, start: () => void scan.start(), stop: () => scan.stop() }), [scan, state]);
}
