"use client";
import type { ComponentProps } from "react";
import { cn } from "./cn";
import { Tooltip } from "./tooltip";

interface IconButtonProps extends Omit<ComponentProps<"button">, "aria-label"> {
  /** Read aloud, and shown on hover and focus. */
  label: string;
  /** A key that does the same, shown with the label. */
  shortcut?: string;
  size?: "sm" | "md";
  side?: "top" | "right" | "bottom" | "left";
  /** For a toggle: whether it is on. */
  pressed?: boolean;
}

export function IconButton({ label, shortcut, size = "md", side = "bottom", pressed, className, children, ...props }: IconButtonProps) {
  return (
    <Tooltip
      side={side}
      content={
        <>
          {label}
          {shortcut && <kbd className="ml-2 rounded bg-sunken px-1 font-mono text-xs">{shortcut}</kbd>}
        </>
      }
    >
      <button
        type="button"
        aria-label={label}
        aria-pressed={pressed}
        className={cn(
          "inline-flex shrink-0 items-center justify-center rounded-md text-muted transition-colors duration-100 hover:bg-sunken hover:text-ink disabled:pointer-events-none disabled:opacity-40",
          size === "sm" ? "size-8 [&_svg]:size-4" : "size-10 [&_svg]:size-5",
          pressed && "bg-accent-soft text-accent hover:bg-accent-soft hover:text-accent",
          className,
        )}
        {...props}
      >
        {children}
      </button>
    </Tooltip>
  );
}
