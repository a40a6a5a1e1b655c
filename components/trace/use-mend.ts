"use client";
import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useReducer, useRef } from "react";
import { steerInTab } from "@/components/local-engine/steer-in-tab";
import type { Where } from "@/components/local-engine/use-where";
import { streamSteer } from "@/lib/api/steer";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { changedShare, type MendCandidate, type MendProgress, type MendResult, mend, partingWord } from "@/lib/core/mend";
import type { PanelQuestion } from "@/lib/core/mend-panel";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";
import { mendRun, type PanelOutcome, panelOver, type SteerStream } from "./steer-answers";

export interface MendState {
  /** `left`: ended because another question was set up, whose answer it says nothing of. */
  status: "idle" | "running" | "done" | "stopped" | "left" | "failed";
  /** What is searched for, and among what: what stands on the page may have changed since. */
  task: Pick<MendTask, "right" | "labels"> & { panelSize: number };
  progress: MendProgress | null;
  /** Questions of the panel answered, while a set is weighed. */
  asked: number;
  result: MendResult | null;
  /** What the panel answered under each set that was weighed, by its clamps as JSON. */
  panel: Record<string, PanelOutcome[]>;
  /** Milliseconds that it took. */
  took: number;
  error: FacetError | null;
}

const idle: MendState = {
  status: "idle",
  task: { right: "", labels: new Map(), panelSize: 0 },
  progress: null,
  asked: 0,
  result: null,
  panel: {},
  took: 0,
  error: null,
};

type Action =
  | { type: "start"; task: MendState["task"] }
  | { type: "progress"; progress: MendProgress }
  | { type: "asked"; asked: number }
  | { type: "panel"; clamps: Intervention[]; outcomes: PanelOutcome[] }
  | { type: "done"; result: MendResult; took: number }
  | { type: "stop" }
  | { type: "fail"; error: FacetError }
  | { type: "leave" };

/** How far a running search is, in words. */
export function progressWords({ progress, asked, task }: MendState): string {
  if (!progress) return "Beginning…";
  const { size, phase, done, total, found } = progress;
  const sets = size === 1 ? "single clamps" : size === 2 ? "pairs" : `sets of ${size}`;
  if (phase === "search") return `Trying ${sets}: ${done} of ${total}, ${found} right so far.`;
  return `Counting what it costs: set ${done + 1} of ${total}, question ${asked} of ${task.panelSize}.`;
}

/** The same without the numbers, which would be read aloud at each step. */
export function phaseWords({ progress }: MendState): string {
  if (!progress) return "The search begins.";
  if (progress.phase === "panel") return "Counting what the clamps cost on other questions.";
  return `Trying ${progress.size === 1 ? "single clamps" : progress.size === 2 ? "pairs of clamps" : `sets of ${progress.size} clamps`}.`;
}

export const clampsKey = (clamps: readonly Intervention[]) => JSON.stringify(clamps);

function reduce(state: MendState, action: Action): MendState {
  switch (action.type) {
    case "start":
      return { ...idle, status: "running", task: action.task };
    case "progress":
      return { ...state, progress: action.progress, asked: 0 };
    case "asked":
      return { ...state, asked: action.asked };
    case "panel":
      return { ...state, panel: { ...state.panel, [clampsKey(action.clamps)]: action.outcomes } };
    case "done":
      return { ...state, status: "done", result: action.result, took: action.took };
    case "stop":
      return state.status === "running" ? { ...state, status: "stopped" } : state;
    case "fail":
      return { ...state, status: "failed", error: action.error };
    case "leave":
      return state.status === "running" ? { ...state, status: "left" } : state.status === "left" ? state : idle;
  }
}

export interface MendTask {
  dictionary: string;
  version: string | undefined;
  /** What the model says, and what it should. */
  wrong: string;
  right: string;
  candidates: MendCandidate[];
  /** Names of the candidates that have one. */
  labels: ReadonlyMap<number, string>;
  questions: PanelQuestion[];
  request: (over: Partial<GenerateRequest>) => GenerateRequest;
}

/** One search at a time; leaving the page, or another search, ends it. */
export function useMend(where: { readonly current: Where }) {
  const client = useQueryClient();
  const [state, dispatch] = useReducer(reduce, idle);
  const controller = useRef<AbortController>(null);

  const stop = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  /** Another question is asked now: a search that is under way ends, and what one found no longer stands. */
  const leave = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "leave" });
  }, []);

  const start = useCallback(
    async ({ dictionary, version, wrong, right, candidates, labels, questions, request }: MendTask) => {
      controller.current?.abort();
      const mine = new AbortController();
      controller.current = mine;
      const { signal } = mine;
      const began = Date.now();
      dispatch({ type: "start", task: { right, labels, panelSize: questions.length } });
      const stream: SteerStream = (asked, options) =>
        where.current === "tab" ? steerInTab(client, asked, options) : streamSteer(asked, options);
      const askPanel = panelOver({
        stream,
        dictionary,
        version,
        mode: request({}).mode,
        questions,
        ask: (question) => withQuestion(request({}).messages, question),
        onAnswer: (asked) => !signal.aborted && dispatch({ type: "asked", asked }),
      });
      try {
        const result = await mend({
          candidates,
          run: mendRun({ stream, request, right, near: partingWord(wrong, right) }),
          harmOf: questions.length
            ? async (clamps) => {
                const outcomes = await askPanel(clamps, signal);
                if (!signal.aborted) dispatch({ type: "panel", clamps, outcomes });
                return changedShare(outcomes);
              }
            : undefined,
          signal,
          onProgress: (progress) => !signal.aborted && dispatch({ type: "progress", progress }),
        });
        if (!signal.aborted) dispatch({ type: "done", result, took: Date.now() - began });
      } catch (error) {
        if (!signal.aborted) dispatch({ type: "fail", error: asFacetError(error) });
        // Whatever else is under way is of no more use.
        mine.abort();
      }
    },
    [client, where],
  );

  // The engine stops when the page is left.
  useEffect(() => () => controller.current?.abort(), []);

  return { state, start, stop, leave };
}

export type Mend = ReturnType<typeof useMend>;

/** The same conversation with another last question. */
function withQuestion(messages: GenerateRequest["messages"], question: string): GenerateRequest["messages"] {
  return messages.map((message, i) =>
    i < messages.length - 1
      ? message
      : { ...message, content: [...message.content.filter(({ type }) => type !== "text"), { type: "text" as const, text: question }] },
  );
}
