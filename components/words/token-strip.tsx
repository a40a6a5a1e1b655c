"use client";
import { type KeyboardEvent, type PointerEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { tokenTint } from "@/components/feature/token-tint";
import { useTheme } from "@/components/shell/theme";
import { cn } from "@/components/ui/cn";
import { formatActivation } from "@/lib/core/format";
import type { PromptFeatures } from "@/lib/core/prompt-features";
import { type Active, type Chosen, chooseOne, chooseTo, noneChosen, toggleOne } from "./tokens";

interface TokenStripProps {
  positions: PromptFeatures["positions"];
  /** The strongest features of each position. */
  strongest: readonly Active[][];
  /** The feature that is looked at: its activation at each position, and the end of the ramp. */
  heat: { dense: Float32Array; max: number } | null;
  chosen: Chosen;
  onChosen: (chosen: Chosen) => void;
  /** The picture, which stands where its cells do. */
  children: ReactNode;
}

const nameOf = ({ label, index }: Active) => label ?? `#${index}`;

/**
 * A prompt in reading order, its picture in its place: each token with the strongest feature on it, or with the activation of the one that is looked at.
 * A press chooses a token, a drag several; with Ctrl one more, with Shift all up to it. By keyboard: arrows walk, Space chooses, Shift with an arrow
 * chooses up to there, Ctrl+A all words, Escape none. The picture's cells are painted on the picture.
 */
export function TokenStrip({ positions, strongest, heat, chosen, onChosen, children }: TokenStripProps) {
  const theme = useTheme();
  const order = positions.flatMap(({ kind }, position) => (kind === "image" ? [] : [position]));
  const picture = positions.findIndex(({ kind }) => kind === "image");
  const [at, setAt] = useState(order.find((position) => position > picture && positions[position]?.kind === "text") ?? order[0] ?? 0);
  const strip = useRef<HTMLDivElement>(null);
  const drags = useRef(false);
  const latest = useRef(chosen);
  latest.current = chosen;
  // A drag may end anywhere on the page.
  useEffect(() => {
    const end = () => {
      drags.current = false;
    };
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
    return () => {
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
    };
  }, []);

  const down = (event: PointerEvent<HTMLButtonElement>, position: number) => {
    if (!event.isPrimary || event.button !== 0) return;
    // A finger would keep all that follows to the token where it began.
    if (event.currentTarget.hasPointerCapture?.(event.pointerId)) event.currentTarget.releasePointerCapture(event.pointerId);
    drags.current = true;
    setAt(position);
    if (event.shiftKey) onChosen(chooseTo(chosen, position, order));
    else if (event.ctrlKey || event.metaKey) onChosen(toggleOne(chosen, position));
    else onChosen(chooseOne(chosen, position));
  };
  const enter = (position: number) => {
    if (!drags.current || latest.current.anchor === null || latest.current.anchor === position) return;
    onChosen(chooseTo(latest.current, position, order));
  };
  const press = (event: KeyboardEvent, position: number) => {
    const key = event.key;
    if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "a") {
      onChosen({ on: new Set(order.filter((one) => positions[one]?.kind === "text")), anchor: position });
    } else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (key === "Escape" && chosen.on.size > 0) onChosen(noneChosen);
    else {
      const place = order.indexOf(position);
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -order.length, End: order.length }[key];
      if (step === undefined) return;
      const next = order[Math.max(0, Math.min(order.length - 1, place + step))] as number;
      if (event.shiftKey) onChosen(chooseTo(chosen.anchor === null ? { on: new Set(), anchor: position } : chosen, next, order));
      setAt(next);
      strip.current?.querySelector<HTMLElement>(`[data-position="${next}"]`)?.focus();
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is a part of a form, and nothing is filled in here.
    <div ref={strip} role="group" aria-label="The prompt, token by token" className="flex select-none flex-wrap items-end gap-1.5">
      {positions.map(({ kind, text, cell }, position) => {
        if (kind === "image") return cell?.cell === 0 ? <div key="picture">{children}</div> : null;
        const active = strongest[position] ?? [];
        const value = heat?.dense[position] ?? 0;
        const tint = heat ? tokenTint(value, heat.max, theme) : null;
        const on = chosen.on.has(position);
        const shown = text.trim() || text;
        return (
          <button
            // biome-ignore lint/suspicious/noArrayIndexKey: a position is what it is
            key={position}
            type="button"
            data-position={position}
            tabIndex={position === at ? 0 : -1}
            aria-pressed={on}
            aria-label={`${shown}: ${active.map((one) => `${nameOf(one)} ${formatActivation(one.activation)}`).join(", ") || "nothing fires"}`}
            title={active.map((one) => `${nameOf(one)} ${formatActivation(one.activation)}`).join("\n")}
            onFocus={() => setAt(position)}
            onPointerDown={(event) => down(event, position)}
            onPointerEnter={() => enter(position)}
            onClick={(event) => event.detail === 0 && onChosen(chooseOne(chosen, position))}
            onKeyDown={(event) => press(event, position)}
            className={cn(
              "flex max-w-36 touch-pan-y flex-col items-center rounded-md px-1.5 py-1 text-sm ring-1 ring-inset",
              on ? "bg-accent-soft ring-2 ring-accent" : "ring-line hover:bg-sunken",
            )}
          >
            <span
              dir="auto"
              className={cn("max-w-full truncate rounded px-1 font-mono", kind === "template" && "text-muted")}
              style={tint ? { background: tint.background, color: tint.ink } : undefined}
            >
              {shown}
            </span>
            <span dir="auto" className="num max-w-full truncate text-muted text-xs">
              {heat ? formatActivation(value) : active[0] ? nameOf(active[0]) : "—"}
            </span>
          </button>
        );
      })}
    </div>
  );
}
