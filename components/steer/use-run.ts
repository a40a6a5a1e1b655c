"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useReducer, useRef } from "react";
import { steerInTab } from "@/components/local-engine/steer-in-tab";
import type { Where } from "@/components/local-engine/use-where";
import { streamSteer } from "@/lib/api/steer";
import { asFacetError, FacetError } from "@/lib/core/errors";
import type { GenerateRequest } from "@/lib/core/protocol";
import { findRun, keepRun } from "./kept";
import { armsOf, isActive, noRun, runReducer, sweepOf } from "./run-state";

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

/** The watched word that the engine refuses, which its sentence quotes; null for any other error. */
function refusedWord(error: unknown, watch: readonly string[] = []): string | null {
  if (!(error instanceof FacetError) || error.code !== "word_unknown") return null;
  return watch.find((word) => error.message.includes(`“${word}”`)) ?? null;
}

const onServer: { readonly current: Where } = { current: "server" };

/** One run at a time: starting another stops the one before. `where` is asked at each start. */
export function useRun(where = onServer) {
  const client = useQueryClient();
  const [run, dispatch] = useReducer(runReducer, noRun);
  const controller = useRef<AbortController>(null);

  const stop = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  /**
   * `key` names the request (its link text), so that its answers are found again. A word to watch that the model has no token for is left out and
   * named in the run: the answers do not hang on it.
   */
  const start = useCallback(
    async (request: GenerateRequest, key: string) => {
      controller.current?.abort();
      const mine = new AbortController();
      controller.current = mine;
      const { signal } = mine;
      const unwatched: string[] = [];
      let asked = request;
      while (!signal.aborted) {
        const inTab = where.current === "tab";
        dispatch({ type: "start", key, arms: armsOf(asked), at: Date.now(), inTab, sweep: sweepOf(asked), unwatched });
        try {
          const events = inTab ? steerInTab(client, asked, { signal }) : streamSteer(asked, { signal });
          for await (const event of events) {
            if (signal.aborted) return;
            dispatch({ type: "event", event });
          }
          if (!signal.aborted) dispatch({ type: "end" });
          return;
        } catch (error) {
          if (signal.aborted) return;
          const refused = refusedWord(error, asked.watch);
          if (refused === null) return dispatch({ type: "fail", error: toWire(error) });
          unwatched.push(refused);
          const watch = asked.watch?.filter((word) => word !== refused);
          asked = { ...asked, watch: watch?.length ? watch : undefined };
        }
      }
    },
    [client, where],
  );

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
