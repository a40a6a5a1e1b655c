"use client";
import { useCallback, useEffect, useReducer, useRef } from "react";
import { asFacetError, type FacetError } from "@/lib/core/errors";
import { changedShare, type MendCandidate, type MendProgress, type MendResult, mend, partingWord } from "@/lib/core/mend";
import type { PanelQuestion } from "@/lib/core/mend-panel";
import type { GenerateRequest, Intervention } from "@/lib/core/protocol";
import { type PanelOutcome, panelOver, serverRun } from "./steer-answers";

export interface MendState {
  status: "idle" | "running" | "done" | "stopped" | "failed";
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

const idle: MendState = { status: "idle", progress: null, asked: 0, result: null, panel: {}, took: 0, error: null };

type Action =
  | { type: "start" }
  | { type: "progress"; progress: MendProgress }
  | { type: "asked"; asked: number }
  | { type: "panel"; clamps: Intervention[]; outcomes: PanelOutcome[] }
  | { type: "done"; result: MendResult; took: number }
  | { type: "stop" }
  | { type: "fail"; error: FacetError }
  | { type: "clear" };

export const clampsKey = (clamps: readonly Intervention[]) => JSON.stringify(clamps);

function reduce(state: MendState, action: Action): MendState {
  switch (action.type) {
    case "start":
      return { ...idle, status: "running" };
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
    case "clear":
      return idle;
  }
}

export interface MendTask {
  dictionary: string;
  version: string | undefined;
  /** What the model says, and what it should. */
  wrong: string;
  right: string;
  candidates: MendCandidate[];
  questions: PanelQuestion[];
  request: (over: Partial<GenerateRequest>) => GenerateRequest;
}

/** One search at a time over the server's engine; leaving the page, or another search, ends it. */
export function useMend() {
  const [state, dispatch] = useReducer(reduce, idle);
  const controller = useRef<AbortController>(null);

  const stop = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "stop" });
  }, []);

  const clear = useCallback(() => {
    controller.current?.abort();
    dispatch({ type: "clear" });
  }, []);

  const start = useCallback(async ({ dictionary, version, wrong, right, candidates, questions, request }: MendTask) => {
    controller.current?.abort();
    const mine = new AbortController();
    controller.current = mine;
    const { signal } = mine;
    const began = Date.now();
    dispatch({ type: "start" });
    const askPanel = panelOver({
      dictionary,
      version,
      questions,
      ask: (question) => withQuestion(request({}).messages, question),
      onAnswer: (asked) => !signal.aborted && dispatch({ type: "asked", asked }),
    });
    try {
      const result = await mend({
        candidates,
        run: serverRun({ request, right, near: partingWord(wrong, right) }),
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
  }, []);

  // The engine stops when the page is left.
  useEffect(() => () => controller.current?.abort(), []);

  return { state, start, stop, clear };
}

/** The same conversation with another last question. */
function withQuestion(messages: GenerateRequest["messages"], question: string): GenerateRequest["messages"] {
  return messages.map((message, i) =>
    i < messages.length - 1
      ? message
      : { ...message, content: [...message.content.filter(({ type }) => type !== "text"), { type: "text" as const, text: question }] },
  );
}
