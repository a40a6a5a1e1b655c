"use client";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { cn } from "@/components/ui/cn";
import { formatPercent } from "@/lib/core/format";
import type { RunToken } from "./run-state";

interface TokenLineProps {
  /** Read aloud, e.g. "Tokens of the steered answer". */
  label: string;
  tokens: RunToken[];
  /** For each token whether the other answer lacks it; null while that cannot be told. */
  differs: boolean[] | null;
  /** What the other answer is called. */
  other: string;
  running: boolean;
  className?: string;
}

const panelWidth = 248;
/** Of the panel with so many alternatives and the token itself, in pixels, at most. */
const panelHeight = (alternatives: number) => 56 + 28 * (alternatives + 1);

/** Below the token, or above it where there is no room; always inside the window. */
function placeBeside(target: HTMLElement, alternatives: number): { left: number; top: number } {
  const box = target.getBoundingClientRect();
  const height = panelHeight(alternatives);
  const below = box.bottom + 6;
  return {
    left: Math.max(8, Math.min(box.left, window.innerWidth - panelWidth - 8)),
    top: below + height > window.innerHeight ? Math.max(8, box.top - height - 6) : below,
  };
}

/** An answer, token by token. Hover, focus or tap one to see what the model might have written instead. */
export function TokenLine({ label, tokens, differs, other, running, className }: TokenLineProps) {
  const line = useRef<HTMLDivElement>(null);
  const anchor = useRef<HTMLElement>(null);
  const [focusable, setFocusable] = useState(0);
  const [shown, setShown] = useState<number | null>(null);
  const [place, setPlace] = useState({ left: 0, top: 0 });
  const buttons = () => Array.from(line.current?.querySelectorAll<HTMLButtonElement>("button") ?? []);

  const show = (i: number, target: HTMLElement) => {
    anchor.current = target;
    setPlace(placeBeside(target, tokens[i]?.alternatives.length ?? 0));
    setShown(i);
  };

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = tokens.length - 1;
    const next = { ArrowRight: focusable + 1, ArrowLeft: focusable - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    buttons()[Math.min(last, Math.max(0, next))]?.focus();
  };

  // Escape closes what hovers before it stops a run.
  useEffect(() => {
    if (shown === null || running) return;
    const close = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault();
      setShown(null);
    };
    document.addEventListener("keydown", close, { capture: true });
    return () => document.removeEventListener("keydown", close, { capture: true });
  }, [shown, running]);

  // The panel goes along when anything scrolls.
  useEffect(() => {
    if (shown === null) return;
    const follow = () => anchor.current && setPlace(placeBeside(anchor.current, tokens[shown]?.alternatives.length ?? 0));
    window.addEventListener("scroll", follow, { capture: true, passive: true });
    return () => window.removeEventListener("scroll", follow, { capture: true });
  }, [shown, tokens]);

  const token = shown === null ? undefined : tokens[shown];
  return (
    <div
      ref={line}
      role="toolbar"
      aria-label={label}
      className={cn("relative break-words", className)}
      dir="auto"
      onKeyDown={press}
      onPointerLeave={() => setShown(null)}
    >
      {tokens.map(({ text, logprob }, i) => {
        const word = text.trim();
        const marked = differs?.[i] ?? false;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: a token is its place in the answer
          <span key={i}>
            {/^\s/.test(text) && " "}
            <button
              type="button"
              tabIndex={i === Math.min(focusable, tokens.length - 1) ? 0 : -1}
              aria-label={`${word || "space"}, ${formatPercent(Math.exp(logprob))}${marked ? `, differs from ${other}` : ""}`}
              onFocus={(event) => {
                setFocusable(i);
                show(i, event.currentTarget);
              }}
              onBlur={() => setShown(null)}
              onPointerEnter={(event) => show(i, event.currentTarget)}
              className={cn(
                "inline cursor-default rounded-sm text-left [font:inherit] hover:bg-sunken",
                shown === i && "bg-sunken",
                marked && "bg-accent-soft font-medium underline decoration-2 decoration-accent underline-offset-4",
              )}
            >
              {word || text}
            </button>
          </span>
        );
      })}
      {running && (
        <span aria-hidden className="ml-1 inline-block h-[1em] w-2 translate-y-[0.15em] rounded-sm bg-accent motion-safe:animate-pulse" />
      )}
      {token &&
        token.alternatives.length > 0 &&
        createPortal(
          <div
            aria-hidden
            className="pointer-events-none fixed z-40 rounded-lg bg-raised p-3 font-normal text-ink text-sm shadow-xl ring-1 ring-line"
            style={{ ...place, width: panelWidth }}
          >
            <p className="mb-2 text-muted text-xs">Token {(shown ?? 0) + 1}: what it might have been</p>
            <ul className="flex flex-col gap-1">
              {token.alternatives.map((alternative) => (
                <li key={alternative.id} className="relative flex justify-between gap-2 rounded-sm px-1.5 py-0.5">
                  <span
                    className="absolute inset-y-0 left-0 rounded-sm bg-accent-soft"
                    style={{ width: `${100 * Math.exp(alternative.logprob)}%` }}
                  />
                  <span className={cn("relative min-w-0 truncate", alternative.id === token.id && "font-semibold")}>
                    {alternative.text.trim() || "(space)"}
                  </span>
                  <span className="num relative shrink-0 text-muted">{formatPercent(Math.exp(alternative.logprob))}</span>
                </li>
              ))}
              {!token.alternatives.some((alternative) => alternative.id === token.id) && (
                <li className="flex justify-between gap-2 px-1.5 py-0.5">
                  <span className="truncate font-semibold">{token.text.trim()}</span>
                  <span className="num text-muted">{formatPercent(Math.exp(token.logprob))}</span>
                </li>
              )}
            </ul>
          </div>,
          document.body,
        )}
      {/* The same for those who do not see the panel. */}
      <span className="sr-only" aria-live="polite">
        {token && document.activeElement?.closest('[role="toolbar"]') === line.current
          ? `Instead: ${token.alternatives
              .filter((alternative) => alternative.id !== token.id)
              .map((alternative) => `${alternative.text.trim()} ${formatPercent(Math.exp(alternative.logprob))}`)
              .join(", ")}`
          : ""}
      </span>
    </div>
  );
}
