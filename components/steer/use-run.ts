"use client";
import { useCallback, useEffect, useReducer, useRef } from "react";
import { streamSteer } from "@/lib/api/steer";
import { asFacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { findRun, keepRun } from "./kept";
import { isActive, noRun, runReducer } from "./run-state";

/** Errors that reach us as their wire form are passed on as they are. */
function toWire(error: unknown) {
  if (error instanceof TypeError) {
    return {
      code: "engine_unavailable" as const,
      message: "The server does not answer.",
      fix: "Check that Facet is running, then run again.",
      retry: true,
    };
  }
  return asFacetError(error).toJSON();
}

/** One run at a time: starting another stops the one before. */
export function useRun() {
  const [run, dispatch] = useReducer(runReducer, noRun);
  const controller = useRef<AbortController>(null);

  const stop = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  /** `key` names the request (its link text), so that its answers are found again. */
  const start = useCallback(async (request: GenerateRequest, key: string) => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    const { signal } = mine;
    dispatch({ type: "start", key, arms: ["steered", ...request.controls], at: Date.now() });
    try {
      for await (const event of streamSteer(request, { signal })) {
        if (signal.aborted) return;
        dispatch({ type: "event", event });
      }
      if (!signal.aborted) dispatch({ type: "end" });
    } catch (error) {
      if (!signal.aborted) dispatch({ type: "fail", error: toWire(error) });
    }
  }, []);

  /** Shows the answers that this tab has kept for a request, which stops a run of another; without any, all stays as it is. */
  const show = useCallback((key: string) => {
    const kept = findRun(key);
    if (!kept) return;
    controller.current?.abort();
    dispatch({ type: "show", run: kept });
  }, []);

  // The tab's store is outside React.
  useEffect(() => {
    if (run.status !== "idle" && !isActive(run)) keepRun(run);
  }, [run]);

  // The engine stops when the page is left.
  useEffect(() => () => controller.current?.abort(), []);

  return { run, start, stop, show };
}
