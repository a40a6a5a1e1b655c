"use client";
import { Slider as Radix } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "./cn";

interface Common {
  min: number;
  max: number;
  step: number;
  /** What the thumb's value says aloud, with its unit. */
  format?: (value: number) => string;
  disabled?: boolean;
  className?: string;
  /** Drawn behind the track, stretched over its whole length (a histogram). */
  track?: ReactNode;
}

interface SliderProps extends Common {
  label: string;
  value: number;
  onChange: (value: number) => void;
  onCommit?: (value: number) => void;
}

const thumb =
  "block size-4 rounded-full bg-raised shadow ring-2 ring-accent transition-transform duration-100 hover:scale-110 focus-visible:outline-2 focus-visible:outline-focus focus-visible:outline-offset-2";

function Track({ track }: { track?: ReactNode }) {
  return (
    <>
      {track && <span className="pointer-events-none absolute inset-x-0 bottom-1/2">{track}</span>}
      <Radix.Track className="relative h-1 grow rounded-full bg-line">
        <Radix.Range className="absolute h-full rounded-full bg-accent" />
      </Radix.Track>
    </>
  );
}

/** One value on a line. Arrow keys move by `step`, Page Up and Down by ten. */
export function Slider({ label, value, onChange, onCommit, format, className, track, ...range }: SliderProps) {
  return (
    <Radix.Root
      {...range}
      value={[value]}
      onValueChange={([next]) => next !== undefined && onChange(next)}
      onValueCommit={([next]) => next !== undefined && onCommit?.(next)}
      className={cn("relative flex h-6 w-full touch-none select-none items-center", range.disabled && "opacity-50", className)}
    >
      <Track track={track} />
      <Radix.Thumb aria-label={label} aria-valuetext={format?.(value)} className={thumb} />
    </Radix.Root>
  );
}

interface RangeSliderProps extends Common {
  /** Names of the two thumbs. */
  labels: [string, string];
  value: [number, number];
  onChange: (value: [number, number]) => void;
  onCommit?: (value: [number, number]) => void;
}

/** Two values on a line. */
export function RangeSlider({ labels, value, onChange, onCommit, format, className, track, ...range }: RangeSliderProps) {
  return (
    <Radix.Root
      {...range}
      value={value}
      onValueChange={([low, high]) => low !== undefined && high !== undefined && onChange([low, high])}
      onValueCommit={([low, high]) => low !== undefined && high !== undefined && onCommit?.([low, high])}
      className={cn("relative flex h-6 w-full touch-none select-none items-center", range.disabled && "opacity-50", className)}
    >
      <Track track={track} />
      <Radix.Thumb aria-label={labels[0]} aria-valuetext={format?.(value[0])} className={thumb} />
      <Radix.Thumb aria-label={labels[1]} aria-valuetext={format?.(value[1])} className={thumb} />
    </Radix.Root>
  );
}
