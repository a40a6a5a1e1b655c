"use client";
import { type KeyboardEvent, type PointerEvent, useId, useMemo, useRef } from "react";
import { histogramBars } from "@/components/charts/activation-histogram-marks";
import { cn } from "@/components/ui/cn";
import { formatStrength } from "./clamp-words";
import { strengthRange } from "./state";
import { shareToStrength, strengthAfterKey, strengthTicks, strengthToShare, typicalRange } from "./strength-scale";

interface StrengthSliderProps {
  /** Read aloud, e.g. "Strength of lemon". */
  label: string;
  value: number;
  onChange: (value: number) => void;
  /** What the value says aloud. */
  valueText: string;
  /** Of the feature's activations from 0 to its maximum; null where it is unknown or the axis is a factor. */
  histogram: { edges: number[]; counts: number[] } | null;
  /** What 1 is, e.g. "max". */
  unit: string;
  disabled?: boolean;
}

const zero = strengthToShare(0);
const one = strengthToShare(1);
const trackHeight = 34;
const percent = (share: number) => `${100 * share}%`;

/** A strength on a line whose stretch from 0 to the feature's maximum shows how strongly the feature fires by itself. */
export function StrengthSlider({ label, value, onChange, valueText, histogram, unit, disabled = false }: StrengthSliderProps) {
  const track = useRef<HTMLDivElement>(null);
  const noteId = useId();
  const bars = useMemo(() => (histogram ? histogramBars(histogram, 100, trackHeight - 2) : []), [histogram]);
  const typical = useMemo(() => (histogram ? typicalRange(histogram) : null), [histogram]);
  const at = strengthToShare(value);

  const follow = (event: PointerEvent) => {
    const box = track.current?.getBoundingClientRect();
    if (box && box.width > 0) onChange(shareToStrength((event.clientX - box.left) / box.width));
  };
  const press = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = strengthAfterKey(value, event.key, event.shiftKey);
    if (next === null) return;
    event.preventDefault();
    onChange(next);
  };

  return (
    <div className={cn("select-none px-2", disabled && "opacity-40")}>
      <div
        ref={track}
        className={cn("relative touch-pan-y", !disabled && "cursor-pointer")}
        style={{ height: trackHeight + 10 }}
        onPointerDown={(event) => {
          if (disabled || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          follow(event);
        }}
        onPointerMove={(event) => {
          if (event.currentTarget.hasPointerCapture(event.pointerId)) follow(event);
        }}
      >
        {/* What the feature does by itself lies between 0 and its maximum. */}
        <div
          className="absolute top-0 rounded-t-sm bg-sunken"
          style={{ left: percent(zero), width: percent(one - zero), height: trackHeight }}
        >
          {typical && (
            <span
              className="absolute inset-y-0 bg-accent-soft"
              style={{ left: percent(typical[0]), width: percent(Math.max(0.01, typical[1] - typical[0])) }}
            />
          )}
          {bars.length > 0 && (
            <svg
              viewBox={`0 0 100 ${trackHeight - 2}`}
              preserveAspectRatio="none"
              aria-hidden="true"
              className="absolute inset-x-0 bottom-0 size-full"
            >
              {bars.map((bar) => (
                <rect
                  key={bar.from}
                  x={bar.x}
                  y={bar.y}
                  width={Math.max(0.6, bar.width + 0.4)}
                  height={bar.height}
                  className="fill-faint"
                />
              ))}
            </svg>
          )}
        </div>
        <span className="absolute h-1 w-full rounded-full bg-line" style={{ top: trackHeight - 2 }} />
        <span
          className="absolute h-1 rounded-full bg-accent"
          style={{ top: trackHeight - 2, left: percent(Math.min(at, zero)), width: percent(Math.abs(at - zero)) }}
        />
        <div
          role="slider"
          tabIndex={disabled ? -1 : 0}
          aria-label={label}
          aria-valuemin={strengthRange.min}
          aria-valuemax={strengthRange.max}
          aria-valuenow={Math.min(strengthRange.max, Math.max(strengthRange.min, value))}
          aria-valuetext={valueText}
          aria-describedby={typical ? noteId : undefined}
          aria-disabled={disabled || undefined}
          onKeyDown={disabled ? undefined : press}
          className="absolute size-4 -translate-x-1/2 rounded-full bg-raised shadow ring-2 ring-accent"
          style={{ left: percent(at), top: trackHeight - 8 }}
        />
      </div>
      <div aria-hidden className="num relative h-4 text-muted text-xs">
        {strengthTicks.map((tick) => (
          <span key={tick} className="absolute -translate-x-1/2" style={{ left: percent(strengthToShare(tick)) }}>
            {tick === 0 ? "0" : tick === 1 ? unit : `${tick < 0 ? "−" : ""}${Math.abs(tick)}×`}
          </span>
        ))}
      </div>
      {typical && (
        <p id={noteId} className="num mt-1 text-muted text-xs">
          <span aria-hidden className="mr-1.5 inline-block h-2.5 w-3 translate-y-px rounded-sm bg-accent-soft ring-1 ring-accent" />
          By itself mostly {rangeOf(typical)} × max
        </p>
      )}
    </div>
  );
}

/** Two digits each: the shares of an activation's maximum are no more exact than their bins. */
const rangeOf = ([low, high]: [number, number]) =>
  `${formatStrength(Number(low.toPrecision(2)))} to ${formatStrength(Number(high.toPrecision(2)))}`;
