/** What a run has said so far: a pure reducer over the engine's events, one arm a column. */
import type { ErrorCode } from "@/lib/core/errors";
import { formatNoun } from "@/lib/core/format";
import type {
  ActiveFeature,
  Alternative,
  Arm,
  EngineEvent,
  GenerateRequest,
  Intervention,
  Receipt,
  WatchedWord,
} from "@/lib/core/protocol";

export interface RunToken {
  id: number;
  /** With its leading space. */
  text: string;
  logprob: number;
  alternatives: Alternative[];
  /** Active on the token, strongest first; none where they were not asked for. */
  features?: ActiveFeature[];
}

export interface ArmRun {
  arm: Arm;
  tokens: RunToken[];
  /** Null until the arm has ended. */
  receipt: Receipt | null;
}

/** The clamp that a run tries at several strengths: arm `sweep:<i>` has strength `values[i]`. */
export interface RunSweep {
  clamp: Pick<Intervention, "feature" | "op" | "unit" | "scope">;
  values: number[];
}

export interface WireError {
  code: ErrorCode;
  message: string;
  fix: string;
  retry: boolean;
}

/**
 * `waiting`: sent, nothing heard yet; `queued`: others are ahead; `running`; then one of `done`, `stopped` (by the person) and `failed`.
 * What came before a stop or a failure stays.
 */
export type RunStatus = "idle" | "waiting" | "queued" | "running" | "done" | "stopped" | "failed";

export interface RunState {
  status: RunStatus;
  /** The link text of the request, to tell whether the answers are still those of what is set up. */
  key: string;
  /** The server's name for it, under which it can be saved once it is done. */
  id?: string;
  /** It ran in this tab: the server knows nothing of it. */
  inTab?: boolean;
  /** Requests ahead while `queued`. */
  position: number;
  /** `steered` first, then the controls in the order asked. */
  arms: ArmRun[];
  prompt: Extract<EngineEvent, { type: "meta" }>["prompt"] | null;
  sweep?: RunSweep | null;
  /** Words that are followed, as the engine reads them. */
  watch?: WatchedWord[];
  /** Words that were asked for and that the model has no token for. */
  unwatched?: string[];
  error: WireError | null;
  /** Milliseconds since the epoch at which it began. */
  startedAt: number;
}

export type RunAction =
  | { type: "start"; key: string; arms: Arm[]; at: number; inTab?: boolean; sweep?: RunSweep | null; unwatched?: string[] }
  | { type: "event"; event: EngineEvent }
  | { type: "stop" }
  /** The stream ended. */
  | { type: "end" }
  | { type: "fail"; error: WireError }
  | { type: "show"; run: RunState };

export const noRun: RunState = { status: "idle", key: "", position: 0, arms: [], prompt: null, error: null, startedAt: 0 };

/** The arms of a request, in the order in which they are shown. */
export function armsOf({ controls, sweep }: Pick<GenerateRequest, "controls" | "sweep">): Arm[] {
  return ["steered", ...controls, ...(sweep?.values ?? []).map((_, i): Arm => `sweep:${i}`)];
}

/** What a request tries at several strengths; null where it tries nothing. */
export function sweepOf({ interventions, sweep }: Pick<GenerateRequest, "interventions" | "sweep">): RunSweep | null {
  const clamp = sweep && interventions[sweep.clamp];
  if (!sweep || !clamp) return null;
  const { feature, op, unit, scope } = clamp;
  return { clamp: { feature, op, unit, scope }, values: sweep.values };
}

export const isSweepArm = (arm: Arm): arm is `sweep:${number}` => arm.startsWith("sweep:");

export const isActive = (run: RunState) => run.status === "waiting" || run.status === "queued" || run.status === "running";

export function runReducer(run: RunState, action: RunAction): RunState {
  switch (action.type) {
    case "start":
      return {
        ...noRun,
        status: "waiting",
        key: action.key,
        arms: action.arms.map((arm) => ({ arm, tokens: [], receipt: null })),
        startedAt: action.at,
        ...(action.inTab && { inTab: true }),
        sweep: action.sweep ?? null,
        unwatched: action.unwatched ?? [],
      };
    case "show":
      return action.run;
    case "stop":
      return isActive(run) ? { ...run, status: "stopped" } : run;
    case "fail":
      return isActive(run) ? { ...run, status: "failed", error: action.error } : run;
    case "end":
      if (!isActive(run)) return run;
      return {
        ...run,
        status: "failed",
        error: {
          code: "engine_failed",
          message: "The engine's answer broke off before its end.",
          fix: "Run again. What had arrived is kept below, without its receipt.",
          retry: true,
        },
      };
    case "event":
      // A stopped run's last events may still be on their way.
      return isActive(run) ? applyEvent(run, action.event) : run;
  }
}

function applyEvent(run: RunState, event: EngineEvent): RunState {
  switch (event.type) {
    case "queued":
      return { ...run, status: "queued", position: event.position };
    case "meta":
      return {
        ...run,
        status: "running",
        id: event.run,
        prompt: event.prompt,
        watch: event.watch ?? [],
        arms: event.arms.map((arm) => run.arms.find((known) => known.arm === arm) ?? { arm, tokens: [], receipt: null }),
      };
    case "token": {
      const { id, text, logprob, alternatives, features } = event;
      return onArm(run, event.arm, (arm) => {
        // Each token says its place, so that a repeated event changes nothing.
        const tokens = arm.tokens.slice();
        tokens[Math.min(event.i, tokens.length)] = { id, text, logprob, alternatives, ...(features && { features }) };
        return { ...arm, tokens };
      });
    }
    case "receipt":
      return onArm(run, event.receipt.arm, (arm) => ({ ...arm, receipt: event.receipt }));
    case "done":
      return { ...run, status: "done" };
    case "error":
      return { ...run, status: event.error.code === "cancelled" ? "stopped" : "failed", error: event.error };
  }
}

function onArm(run: RunState, name: Arm, change: (arm: ArmRun) => ArmRun): RunState {
  const arms = run.arms.some((arm) => arm.arm === name) ? run.arms : [...run.arms, { arm: name, tokens: [], receipt: null }];
  return { ...run, status: "running", arms: arms.map((arm) => (arm.arm === name ? change(arm) : arm)) };
}

/** The arm's text: the receipt's where it has one, else the tokens so far. */
export function textOf(arm: ArmRun): string {
  return (arm.receipt?.text ?? arm.tokens.map((token) => token.text).join("")).trim();
}

/** The place in the line of a run that waits. */
export function queueWords(ahead: number): string {
  return ahead === 0 ? "Next in the queue." : `In the queue: ${formatNoun(ahead, "request")} ahead.`;
}

/** One polite sentence for a screen reader when a run waits or has ended; empty between. A failure is an alert, which speaks for itself. */
export function summarise(run: RunState): string {
  const spoken = (arm: Arm) => {
    const found = run.arms.find((candidate) => candidate.arm === arm);
    return found ? textOf(found) : "";
  };
  const steered = run.arms.find((arm) => arm.arm === "steered");
  switch (run.status) {
    case "done": {
      const outcome = steered?.receipt?.outcome;
      if (steered?.receipt?.clamps.length === 0) return `Done, without a clamp. The model answers: ${spoken("steered")}.`;
      if (outcome === "unchanged")
        return `Done. The clamps changed nothing: ${(steered?.receipt?.reason ?? "every change was zero").replace(/\.$/, "")}.`;
      const baseline = run.arms.some((arm) => arm.arm === "baseline");
      if (!baseline) return `Done. Steered: ${spoken("steered")}.`;
      if (spoken("steered") === spoken("baseline")) return `Done. Steered, and yet the answer is the same: ${spoken("steered")}.`;
      return `Done. Steered: ${spoken("steered")}. Baseline: ${spoken("baseline")}.`;
    }
    case "stopped":
      return `Stopped after ${formatNoun(Math.max(0, ...run.arms.map((arm) => arm.tokens.length)), "token")}.`;
    case "queued":
      return queueWords(run.position);
    default:
      return "";
  }
}
