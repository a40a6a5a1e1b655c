"use client";
import { type KeyboardEvent, useRef } from "react";
import type { RunToken } from "@/components/steer/run-state";
import { cn } from "@/components/ui/cn";
import { formatPercent } from "@/lib/core/format";

interface AnswerWordsProps {
  tokens: readonly RunToken[];
  chosen: number | null;
  onChoose: (place: number) => void;
}

/** The answer, each of its tokens a button: press one to ask why it was said. Arrow keys move along them. */
export function AnswerWords({ tokens, chosen, onChoose }: AnswerWordsProps) {
  const line = useRef<HTMLDivElement>(null);
  const buttons = () => Array.from(line.current?.querySelectorAll<HTMLButtonElement>("button") ?? []);
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    all[Math.min(all.length - 1, Math.max(0, next))]?.focus();
  };
  const reachable = Math.min(chosen ?? 0, tokens.length - 1);
  return (
    <div
      ref={line}
      role="toolbar"
      aria-label="Words of the answer: press one to ask why; arrow keys move"
      dir="auto"
      className="break-words text-2xl leading-relaxed"
      onKeyDown={press}
    >
      {tokens.map(({ text, logprob }, i) => {
        const word = text.trim();
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place in the answer
          <span key={i}>
            {/^\s/.test(text) && " "}
            <button
              type="button"
              tabIndex={i === reachable ? 0 : -1}
              aria-pressed={i === chosen}
              aria-label={`${word || "space"}, ${formatPercent(Math.exp(logprob))}`}
              onClick={() => onChoose(i)}
              className={cn(
                "inline cursor-pointer rounded px-0.5 text-left underline decoration-1 decoration-line underline-offset-[6px] [font:inherit] hover:bg-sunken hover:decoration-faint",
                i === chosen &&
                  "bg-accent-soft font-medium text-accent decoration-2 decoration-accent hover:bg-accent-soft hover:decoration-accent",
              )}
            >
              {word || text}
            </button>
          </span>
        );
      })}
    </div>
  );
}
