"use client";
import { Tooltip as Radix } from "radix-ui";
import { type ReactNode, useState } from "react";
import { cn } from "./cn";

interface TermProps {
  children: ReactNode;
  /** One line: what the word means. */
  explain: ReactNode;
  className?: string;
}

/** A word of the field with its explanation on hover, focus and tap. */
export function Term({ children, explain, className }: TermProps) {
  const [open, setOpen] = useState(false);
  return (
    <Radix.Root open={open} onOpenChange={setOpen}>
      <Radix.Trigger asChild>
        <button
          type="button"
          onClick={(event) => {
            event.preventDefault();
            setOpen(true);
          }}
          className={cn(
            "cursor-help rounded-sm text-inherit underline decoration-faint decoration-dotted underline-offset-4 [font:inherit]",
            className,
          )}
        >
          {children}
        </button>
      </Radix.Trigger>
      <Radix.Portal>
        <Radix.Content
          sideOffset={6}
          collisionPadding={8}
          className="z-50 max-w-72 rounded-md bg-raised px-3 py-2 text-left font-normal text-ink text-sm leading-snug shadow-lg ring-1 ring-line"
        >
          {explain}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
