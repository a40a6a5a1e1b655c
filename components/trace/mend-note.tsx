"use client";
import { Square } from "lucide-react";
import { Button } from "@/components/ui/button";
import { type Mend, phaseWords, progressWords } from "./use-mend";

/** A search that goes on, or was ended, while something else is on screen. */
export function MendNote({ mend: { state, stop }, shown, onShow }: { mend: Mend; shown: boolean; onShow: () => void }) {
  const { status, task } = state;
  const running = status === "running";
  return (
    <>
      {running && !shown && (
        <div className="num flex flex-wrap items-center gap-x-3 gap-y-1 rounded-md bg-sunken px-3 py-1.5 text-sm">
          <span className="min-w-0">
            <span className="text-muted">Mending to “{task.right}”.</span> {progressWords(state)}
          </span>
          <span className="flex gap-2">
            <Button size="sm" onClick={onShow}>
              Show
            </Button>
            <Button size="sm" onClick={stop}>
              <Square aria-hidden />
              Stop mending
            </Button>
          </span>
        </div>
      )}
      <p role="status" className="text-muted text-sm empty:hidden">
        {running && !shown && (
          <span className="sr-only">
            Mending to “{task.right}” goes on. {phaseWords(state)}
          </span>
        )}
        {status === "done" && !shown && `The search for “${task.right}” has ended: see Mend it.`}
        {status === "left" && `The search for “${task.right}” was ended: what is asked is now another.`}
      </p>
    </>
  );
}
