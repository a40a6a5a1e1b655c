"use client";
import { RadioGroup } from "radix-ui";
import type { ReactNode } from "react";
import { cn } from "./cn";

interface SegmentedProps<T extends string> {
  /** Read aloud for the group. */
  label: string;
  value: T;
  onChange: (value: T) => void;
  /** `name` is read aloud (and shown unless `icon` is given). */
  options: ReadonlyArray<{ value: T; name: string; icon?: ReactNode; disabled?: boolean }>;
  size?: "sm" | "md";
  className?: string;
}

/** One of a few: a radio group in a row. */
export function Segmented<T extends string>({ label, value, onChange, options, size = "sm", className }: SegmentedProps<T>) {
  return (
    <RadioGroup.Root
      aria-label={label}
      value={value}
      onValueChange={(next) => onChange(next as T)}
      orientation="horizontal"
      className={cn("inline-flex items-center gap-0.5 rounded-md bg-sunken p-0.5", className)}
    >
      {options.map((option) => (
        <RadioGroup.Item
          key={option.value}
          value={option.value}
          disabled={option.disabled}
          aria-label={option.icon ? option.name : undefined}
          title={option.icon ? option.name : undefined}
          className={cn(
            "inline-flex items-center justify-center gap-2 rounded text-muted transition-colors duration-100 hover:text-ink disabled:opacity-50 data-[state=checked]:bg-raised data-[state=checked]:text-ink data-[state=checked]:shadow-sm data-[state=checked]:ring-1 data-[state=checked]:ring-line [&_svg]:size-4",
            size === "sm" ? "h-7 min-w-8 px-1.5 text-sm" : "h-9 min-w-10 px-3 text-sm",
          )}
        >
          {option.icon ?? option.name}
        </RadioGroup.Item>
      ))}
    </RadioGroup.Root>
  );
}
