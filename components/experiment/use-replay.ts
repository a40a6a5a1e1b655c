"use client";
import { useCallback, useEffect, useReducer, useRef, useState } from "react";
import { isActive, noRun, type RunState, runReducer } from "@/components/steer/run-state";
import { streamSteer } from "@/lib/api/steer";
import { asFacetError } from "@/lib/core/errors";
import type { EngineEvent, GenerateRequest } from "@/lib/core/protocol";
import { compareRuns, type Verdict } from "@/lib/core/replay";

export interface Replay {
  run: RunState;
  running: boolean;
  /** Once it has ended. */
  verdict: Verdict | null;
  start: () => void;
  stop: () => void;
}

/** Runs a saved request again and holds what comes against what was saved. */
export function useReplay(request: GenerateRequest, saved: readonly EngineEvent[]): Replay {
  const [run, dispatch] = useReducer(runReducer, noRun);
  const [verdict, setVerdict] = useState<Verdict | null>(null);
  const controller = useRef<AbortController>(null);

  const stop = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  const start = useCallback(async () => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    setVerdict(null);
    dispatch({ type: "start", key: "replay", arms: ["steered", ...request.controls], at: Date.now() });
    // Without the version, which the server would refuse where it has another: what differs is to be said, not to be refused.
    const { version: _version, ...unpinned } = request;
    const events: EngineEvent[] = [];
    try {
      for await (const event of streamSteer(unpinned, { signal: mine.signal })) {
        if (mine.signal.aborted) return;
        events.push(event);
        dispatch({ type: "event", event });
      }
      setVerdict(compareRuns(saved, events));
    } catch (error) {
      if (!mine.signal.aborted) dispatch({ type: "fail", error: asFacetError(error).toJSON() });
    }
  }, [request, saved]);

  // The engine stops when the page is left.
  useEffect(() => () => controller.current?.abort(), []);

  return { run, running: isActive(run), verdict, start, stop };
}
