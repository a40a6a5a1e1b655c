import { cn } from "./cn";

interface ProgressBarProps {
  /** Read aloud. */
  label: string;
  /** Of `max`; absent while nobody can say. */
  value?: number;
  max: number;
  className?: string;
}

/** How far something is. Its parts are coloured by their own names: with a border reset, browsers draw theirs in green on grey. */
export function ProgressBar({ label, value, max, className }: ProgressBarProps) {
  return (
    <progress
      aria-label={label}
      value={value}
      max={max}
      className={cn(
        "h-1.5 appearance-none overflow-hidden rounded-full bg-line [&::-moz-progress-bar]:bg-accent [&::-webkit-progress-bar]:bg-line [&::-webkit-progress-value]:bg-accent",
        className,
      )}
    />
  );
}
