"use client";
import { type KeyboardEvent, useEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { cn } from "@/components/ui/cn";
import { formatPercent } from "@/lib/core/format";
import type { ArmRun } from "./run-state";
import { panelWidth, TokenPanel } from "./token-panel";

interface TokenLineProps {
  /** Read aloud, e.g. "Tokens of the steered answer". */
  label: string;
  run: ArmRun;
  /** All arms of the run, to compare with. */
  arms: readonly ArmRun[];
  /** `<model>/<dictionary>`; null where it is unknown. */
  dictionary: string | null;
  /** For each token whether the other answer lacks it; null while that cannot be told. */
  differs: boolean[] | null;
  /** What the other answer is called. */
  other: string;
  running: boolean;
  className?: string;
}

interface Place {
  left: number;
  top?: number;
  bottom?: number;
  maxHeight: number;
}

/** A pointer on its way from a token to its panel crosses what lies between. */
const patience = 160;

/** Below the token, or above it where there is more room; always inside the window. */
function placeBeside(target: HTMLElement, width: number): Place {
  const box = target.getBoundingClientRect();
  const below = window.innerHeight - box.bottom - 14;
  const above = box.top - 14;
  const left = Math.max(8, Math.min(box.left, window.innerWidth - width - 8));
  return below >= Math.min(320, above)
    ? { left, top: box.bottom + 6, maxHeight: below }
    : { left, bottom: window.innerHeight - box.top + 6, maxHeight: above };
}

/**
 * An answer, token by token. Hover, focus or tap one to see what the model might have written instead, in each arm, and which features are active on it;
 * Enter holds that open and goes into it, Escape comes back.
 */
export function TokenLine({ label, run, arms, dictionary, differs, other, running, className }: TokenLineProps) {
  const { tokens } = run;
  const line = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const anchor = useRef<HTMLElement>(null);
  const leaving = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [focusable, setFocusable] = useState(0);
  const [shown, setShown] = useState<number | null>(null);
  const [held, setHeld] = useState(false);
  const [place, setPlace] = useState<Place>({ left: 0, top: 0, maxHeight: 320 });
  const width = Math.min(panelWidth(arms.length), typeof window === "undefined" ? 360 : window.innerWidth - 16);
  const buttons = () => Array.from(line.current?.querySelectorAll<HTMLButtonElement>("button") ?? []);

  const show = (i: number, target: HTMLElement) => {
    clearTimeout(leaving.current);
    anchor.current = target;
    setPlace(placeBeside(target, width));
    setShown(i);
  };
  const hide = () => {
    clearTimeout(leaving.current);
    setHeld(false);
    setShown(null);
  };
  const hideSoon = () => {
    clearTimeout(leaving.current);
    leaving.current = setTimeout(() => {
      if (!panel.current?.contains(document.activeElement)) hide();
    }, patience);
  };
  const hold = (i: number, target: HTMLElement) => {
    show(i, target);
    setHeld(true);
  };
  useEffect(() => () => clearTimeout(leaving.current), []);
  // What was asked for by key takes the focus once it is there.
  useEffect(() => {
    if (held) panel.current?.focus();
  }, [held]);

  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = tokens.length - 1;
    const next = { ArrowRight: focusable + 1, ArrowLeft: focusable - 1, Home: 0, End: last }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    buttons()[Math.min(last, Math.max(0, next))]?.focus();
  };

  // Escape closes what is shown before it stops a run.
  useEffect(() => {
    if (shown === null || (running && !held)) return;
    const close = (event: globalThis.KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault();
      if (panel.current?.contains(document.activeElement)) anchor.current?.focus();
      setHeld(false);
      setShown(null);
    };
    document.addEventListener("keydown", close, { capture: true });
    return () => document.removeEventListener("keydown", close, { capture: true });
  }, [shown, running, held]);

  // The panel goes along when anything scrolls.
  useEffect(() => {
    if (shown === null) return;
    const follow = (event: Event) => {
      if (panel.current?.contains(event.target as Node)) return;
      if (anchor.current) setPlace(placeBeside(anchor.current, width));
    };
    window.addEventListener("scroll", follow, { capture: true, passive: true });
    return () => window.removeEventListener("scroll", follow, { capture: true });
  }, [shown, width]);

  const token = shown === null ? undefined : tokens[shown];
  const word = token?.text.trim() || "space";
  return (
    <div
      ref={line}
      role="toolbar"
      aria-label={label}
      className={cn("relative break-words", className)}
      dir="auto"
      onKeyDown={press}
      onPointerLeave={held ? undefined : hideSoon}
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
              aria-expanded={shown === i && held}
              onFocus={(event) => {
                setFocusable(i);
                if (!held) show(i, event.currentTarget);
              }}
              onBlur={held ? undefined : hideSoon}
              onPointerEnter={(event) => !held && show(i, event.currentTarget)}
              onClick={(event) => hold(i, event.currentTarget)}
              className={cn(
                "inline cursor-pointer rounded-sm text-left [font:inherit] hover:bg-sunken",
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
        createPortal(
          <div
            ref={panel}
            role="dialog"
            aria-label={`Token “${word}”`}
            tabIndex={-1}
            onPointerEnter={() => clearTimeout(leaving.current)}
            onPointerLeave={held ? undefined : hideSoon}
            onFocus={() => clearTimeout(leaving.current)}
            onBlur={(event) => {
              if (!event.currentTarget.contains(event.relatedTarget)) hide();
            }}
            className="fixed z-40 overflow-y-auto rounded-lg bg-raised p-3 font-normal text-ink text-sm shadow-xl outline-none ring-1 ring-line"
            style={{ ...place, width }}
          >
            <TokenPanel own={run} arms={arms} place={shown ?? 0} dictionary={dictionary} />
          </div>,
          document.body,
        )}
      {/* The same in short for those who move along the answer and do not see the panel. */}
      <span className="sr-only" aria-live="polite">
        {token && !held && document.activeElement?.closest('[role="toolbar"]') === line.current
          ? `Instead: ${token.alternatives
              .filter((alternative) => alternative.id !== token.id)
              .map((alternative) => `${alternative.text.trim()} ${formatPercent(Math.exp(alternative.logprob))}`)
              .join(", ")}. Enter for more.`
          : ""}
      </span>
    </div>
  );
}
