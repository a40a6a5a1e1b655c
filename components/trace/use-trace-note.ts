"use client";
import { useEffect } from "react";
import { findWords, keepWords } from "@/components/steer/kept";
import type { RunState } from "@/components/steer/run-state";

/** An experiment's note takes no more; a longer address is left out. */
const longestNote = 3_000;

/** Saved as an experiment, the run says at which address it was traced, unless a person has written something else. */
export function useTraceNote({ status, id }: Pick<RunState, "status" | "id">): void {
  useEffect(() => {
    if (status !== "done" || !id || findWords(id).note) return;
    const note = `Found by tracing an answer: ${window.location.href}`;
    if (note.length < longestNote) keepWords(id, { title: "", note });
  }, [status, id]);
}
