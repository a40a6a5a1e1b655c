"use client";
import { useEffect, useRef } from "react";
import { SaveExperiment } from "@/components/experiment/save-experiment";
import { AnswersPanel } from "@/components/steer/answers-panel";
import { findRun } from "@/components/steer/kept";
import { isActive } from "@/components/steer/run-state";
import { useRun } from "@/components/steer/use-run";
import { Button } from "@/components/ui/button";
import type { Intervention } from "@/lib/core/protocol";
import { useAsking } from "./asking";
import { useTraceNote } from "./use-trace-note";

interface AskAgainProps {
  /** Names the run beside the request's own, to find its answers again on this tab. */
  name: string;
  clamps: Intervention[];
  /** What is said of the button, e.g. "Remove it and ask again". */
  action: string;
  /** Asks at once where the tab has kept no answer. */
  auto?: boolean;
}

/** Runs the request with clamps beside the plain one, in place: old and new answer with their receipts. */
export function AskAgain({ name: own, clamps, action, auto = false }: AskAgainProps) {
  const { dictionary, key, compare, request, uploads, savingOff, where } = useAsking();
  const name = `${key} ${own}`;
  const { run, start, stop, show } = useRun(where);
  const running = isActive(run);
  const ask = () => void start(request({ interventions: clamps, controls: [compare] }), name);
  const latest = useRef({ ask, auto, name });
  latest.current = { ask, auto, name };
  // What the tab kept is outside React.
  useEffect(() => show(name), [name, show]);
  useEffect(() => {
    if (latest.current.auto && !findRun(latest.current.name)) latest.current.ask();
  }, []);
  useTraceNote(run);
  return (
    <div className="flex flex-col gap-3">
      <div className="flex flex-wrap items-center gap-2">
        <Button size="sm" variant={run.status === "idle" ? "primary" : "secondary"} onClick={() => (running ? stop() : ask())}>
          {running ? "Stop" : run.status === "idle" ? action : "Ask again"}
        </Button>
        <SaveExperiment run={run} off={savingOff} pictures={uploads} />
      </div>
      {run.status !== "idle" && <AnswersPanel run={run} stale={false} clamps={clamps.length} onRun={ask} dictionary={dictionary} />}
    </div>
  );
}
