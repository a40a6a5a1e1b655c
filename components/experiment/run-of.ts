import { noRun, type RunState, runReducer } from "@/components/steer/run-state";
import type { Experiment } from "@/lib/core/experiment";
import type { EngineEvent } from "@/lib/core/protocol";

/** A finished run from its events, as it stood when the last of them came. */
export function runOf(key: string, events: readonly EngineEvent[]): RunState {
  const started = runReducer(noRun, { type: "start", key, arms: [], at: 0 });
  return [...events, { type: "done" } as const].reduce((run, event) => runReducer(run, { type: "event", event }), started);
}

export const savedRun = (experiment: Pick<Experiment, "id" | "events">): RunState => runOf(experiment.id, experiment.events);
